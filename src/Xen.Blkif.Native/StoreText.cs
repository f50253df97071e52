using System.Text;

namespace Xen.Blkif.Native;

/// <summary>Strings as xenstore has them: bytes. Guests may write any, so that each byte becomes one character and back.</summary>
internal static unsafe class StoreText
{
    /// <summary>The bytes of a path or token, with the zero at their end.</summary>
    public static byte[] Terminated(string text)
    {
        byte[] bytes = new byte[text.Length + 1];
        Encoding.Latin1.GetBytes(text, bytes);
        return bytes;
    }

    public static string Of(byte* start) => Encoding.Latin1.GetString(System.Runtime.InteropServices.MemoryMarshal.CreateReadOnlySpanFromNullTerminated(start));

    public static string Of(byte* start, uint length) => Encoding.Latin1.GetString(start, (int)length);
}
