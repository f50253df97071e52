using System.Runtime.InteropServices;

namespace Xen.Blkif.PerfTests.Reference;

/// <summary>The functions of <c>backend.c</c>, compiled and loaded once in a process, when first asked for.</summary>
internal static unsafe class ReferenceLibrary
{
    private static readonly Lazy<nint> Library = new(Load);

    public static readonly delegate* unmanaged[Cdecl]<byte*, uint, uint, uint, uint, ulong, uint, uint, nint> Open =
        (delegate* unmanaged[Cdecl]<byte*, uint, uint, uint, uint, ulong, uint, uint, nint>)Export("backend_open");

    public static readonly delegate* unmanaged[Cdecl]<nint, uint, uint, void> Run =
        (delegate* unmanaged[Cdecl]<nint, uint, uint, void>)Export("backend_run");

    public static readonly delegate* unmanaged[Cdecl]<nint, uint, ulong> Serve =
        (delegate* unmanaged[Cdecl]<nint, uint, ulong>)Export("backend_serve");

    public static readonly delegate* unmanaged[Cdecl]<nint, ulong> Done = (delegate* unmanaged[Cdecl]<nint, ulong>)Export("backend_done");

    public static readonly delegate* unmanaged[Cdecl]<nint, void> Close = (delegate* unmanaged[Cdecl]<nint, void>)Export("backend_close");

    /// <summary>Compiles and loads, to have what is missing said as it is.</summary>
    /// <exception cref="UserException">There is no compiler, or Xen's headers are not installed.</exception>
    public static void Require() => _ = Library.Value;

    private static nint Export(string name) => NativeLibrary.GetExport(Library.Value, name);

    private static nint Load()
    {
        // A loaded library stays when its file goes, so that the folder can be removed at once.
        string folder = Directory.CreateTempSubdirectory("xen-blkif-reference-").FullName;
        try
        {
            string library = Path.Combine(folder, "backend.so");
            CCompiler.MakeLibrary("backend.c", library);
            return NativeLibrary.Load(library);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
