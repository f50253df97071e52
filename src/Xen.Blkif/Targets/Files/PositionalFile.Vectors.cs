using System.Runtime.InteropServices;

namespace Xen.Blkif.Targets.Files;

/// <content>Many pieces of memory with one system call, for which .NET would have a list allocated.</content>
internal sealed unsafe partial class PositionalFile
{
    private static readonly bool IsLinux = RuntimeInformation.IsOSPlatform(OSPlatform.Linux);

    /// <summary>Fills pieces of memory, one after the other.</summary>
    /// <exception cref="IOException">The storage failed, or the file ended early.</exception>
    public void Read(ReadOnlySpan<IoVector> vectors, long offset)
    {
        while (IsLinux && vectors.Length > 1)
        {
            nint done;
            fixed (IoVector* first = vectors)
                done = LibC.ReadMany(_handle, first, Math.Min(vectors.Length, LibC.MostVectors), offset);
            if (done == 0)
                break; // the file ends here, which the next lines say
            if (WasInterrupted("preadv", done, offset))
                continue;
            Span<byte> rest = Skip(ref vectors, ref offset, done);
            Read(rest, offset);
            offset += rest.Length;
        }

        foreach (IoVector vector in vectors)
        {
            Read(vector.Span, offset);
            offset += vector.Length;
        }
    }

    /// <summary>Writes pieces of memory, one after the other.</summary>
    /// <exception cref="IOException">The storage failed or is full.</exception>
    public void Write(ReadOnlySpan<IoVector> vectors, long offset)
    {
        while (IsLinux && vectors.Length > 1)
        {
            nint done;
            fixed (IoVector* first = vectors)
                done = LibC.WriteMany(_handle, first, Math.Min(vectors.Length, LibC.MostVectors), offset);
            if (WasInterrupted("pwritev", done, offset))
                continue;
            Span<byte> rest = Skip(ref vectors, ref offset, done);
            if (rest.Length > 0)
                Write(rest, offset);
            offset += rest.Length;
        }

        foreach (IoVector vector in vectors)
        {
            Write(vector.Span, offset);
            offset += vector.Length;
        }
    }

    // The vectors belong to whoever submitted them and stay as they are: a piece that is done in part is brought to its end by itself.
    private static Span<byte> Skip(ref ReadOnlySpan<IoVector> vectors, ref long offset, nint done)
    {
        offset += done;
        for (; vectors.Length > 0 && done >= vectors[0].Length; vectors = vectors.Slice(1))
            done -= vectors[0].Length;
        if (done == 0)
            return default;

        Span<byte> rest = vectors[0].Span.Slice((int)done);
        vectors = vectors.Slice(1);
        return rest;
    }

    private static bool WasInterrupted(string call, nint done, long offset)
    {
        if (done > 0)
            return false;
        int error = Marshal.GetLastWin32Error();
        return done < 0 && error == LibC.Interrupted ? true : throw new IOException(
            done < 0 ? $"{call} failed with error {error} at byte {offset}." : $"{call} did nothing at byte {offset}.");
    }
}
