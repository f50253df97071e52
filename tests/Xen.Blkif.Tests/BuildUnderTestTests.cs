using System.Runtime.Versioning;
using Xen.Blkif.Rings;

namespace Xen.Blkif.Tests;

[TestFixture]
[Parallelizable(ParallelScope.All)]
public sealed class BuildUnderTestTests
{
#if TESTS_NETSTANDARD_BUILD
    private const string Expected = ".NETStandard,Version=v2.0";
#else
    private const string Expected = ".NETCoreApp,Version=v10.0";
#endif

    [Test]
    public void The_library_that_is_loaded_is_the_build_that_this_project_tests()
    {
        object[] attributes = typeof(RingSize).Assembly.GetCustomAttributes(typeof(TargetFrameworkAttribute), inherit: false);

        Assert.That(attributes.Cast<TargetFrameworkAttribute>().Select(attribute => attribute.FrameworkName), Is.EqualTo(new[] { Expected }));
    }
}
