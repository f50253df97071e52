using System.Reflection;
using System.Runtime.InteropServices;
using Xen.Blkif.Native.Interop;
using Xen.Blkif.Tests;

[assembly: Parallelizable(ParallelScope.All)]

namespace Xen.Blkif.Native.Tests;

/// <summary>Everything that is called exists in the libraries that are installed. No hypervisor is needed to know that.</summary>
internal sealed class ImportedSymbolTests
{
    private static IEnumerable<TestCaseData> Imports() =>
        from type in new[] { typeof(LibXenGnttab), typeof(LibXenEvtchn), typeof(LibXenStore), typeof(LibC) }
        from method in type.GetMethods(BindingFlags.Public | BindingFlags.Static)
        let import = method.GetCustomAttribute<LibraryImportAttribute>()
        where import is not null
        select new TestCaseData(import.LibraryName, import.EntryPoint!).SetArgDisplayNames(import.EntryPoint!);

    [TestCaseSource(nameof(Imports))]
    public void Every_imported_symbol_is_in_its_library(string library, string symbol)
    {
        nint handle;
        try
        {
            handle = NativeLibrary.Load(library, typeof(LibXenStore).Assembly, null);
        }
        catch (DllNotFoundException e)
        {
            Requirement.IsMissing(e.Message);
            return;
        }

        Assert.That(NativeLibrary.TryGetExport(handle, symbol, out _), Is.True, $"{library} has no {symbol}");
    }

    [Test]
    public void There_are_imports_to_check() => Assert.That(Imports().Count(), Is.GreaterThan(20));

    [TestCase(0)]
    [TestCase(-1)]
    public void A_limit_of_grants_that_is_none_is_refused(int maxGrants) =>
        Assert.That(() => XenHost.Open(maxGrants), Throws.TypeOf<ArgumentOutOfRangeException>());

    [Test]
    public void Without_a_hypervisor_opening_the_host_says_what_is_missing()
    {
        if (Directory.Exists("/proc/xen"))
            Assert.Ignore("ignored: this is a Xen host");
        Assert.That(() => XenHost.Open(), Throws.InstanceOf<IOException>().With.Message.Contains("xenstore").Or.InstanceOf<DllNotFoundException>());
    }
}
