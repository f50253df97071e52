using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

[assembly: DisableRuntimeMarshalling]

namespace Xen.Blkif.Native.Interop;

/// <summary>Finds Xen's libraries under the names that its releases gave them.</summary>
internal static class NativeLibraries
{
    public const string GrantTable = "xengnttab";
    public const string EventChannel = "xenevtchn";
    public const string Store = "xenstore";

    private static readonly Dictionary<string, (string DebianPackage, string[] FileNames)> Known = new(StringComparer.Ordinal)
    {
        [GrantTable] = ("libxengnttab1", ["libxengnttab.so.1"]),
        [EventChannel] = ("libxenevtchn1", ["libxenevtchn.so.1"]),

        // Renamed in Xen 4.16; what is used of it here is the same in both.
        [Store] = ("libxenstore4", ["libxenstore.so.4", "libxenstore.so.3.0"]),
    };

#pragma warning disable CA2255 // the resolver must be there before the first call, wherever that comes from
    [ModuleInitializer]
    internal static void Register() => NativeLibrary.SetDllImportResolver(typeof(NativeLibraries).Assembly, Resolve);
#pragma warning restore CA2255

    private static nint Resolve(string name, Assembly assembly, DllImportSearchPath? path)
    {
        if (!Known.TryGetValue(name, out (string DebianPackage, string[] FileNames) library))
            return 0;

        foreach (string fileName in library.FileNames)
        {
            if (NativeLibrary.TryLoad(fileName, out nint loaded))
                return loaded;
        }

        throw new DllNotFoundException(
            $"{string.Join(" or ", library.FileNames)} is not installed: it comes with Xen's tools (Debian: apt-get install {library.DebianPackage}).");
    }
}
