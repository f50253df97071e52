using System.Runtime.InteropServices;
using Xen.Blkif.Protocol;

namespace Xen.Blkif.Tests.Protocol;

[TestFixture]
[Parallelizable(ParallelScope.All)]
public sealed class BlkifProtocolTests
{
    private static bool OnX86 => RuntimeInformation.ProcessArchitecture is Architecture.X64 or Architecture.X86;

    [TestCase("x86_64-abi", BlkifProtocol.X64)]
    [TestCase("arm-abi", BlkifProtocol.X64)]
    [TestCase("x86_32-abi", BlkifProtocol.X86)]
    public void A_name_of_the_protocol_is_read(string name, BlkifProtocol expected)
    {
        using (Assert.EnterMultipleScope())
        {
            Assert.That(BlkifProtocols.TryParse(name, out BlkifProtocol protocol), Is.True);
            Assert.That(protocol, Is.EqualTo(expected));
        }
    }

    [TestCase(null)]
    [TestCase("")]
    public void A_frontend_that_names_none_is_taken_for_a_32_bit_one_on_x86_and_a_native_one_elsewhere(string? name)
    {
        using (Assert.EnterMultipleScope())
        {
            Assert.That(BlkifProtocols.TryParse(name, out BlkifProtocol protocol), Is.True);
            Assert.That(protocol, Is.EqualTo(OnX86 ? BlkifProtocol.X86 : BlkifProtocol.Native));
        }
    }

    [TestCase("x86_64")]
    [TestCase("X86_64-ABI")]
    [TestCase("x86_64-abi ")]
    [TestCase(" ")]
    [TestCase("native")]
    [TestCase("ia64-abi")]
    [TestCase("powerpc64-abi")]
    public void Another_name_is_refused(string name) => Assert.That(BlkifProtocols.TryParse(name, out _), Is.False);

    [TestCase(BlkifProtocol.X64)]
    [TestCase(BlkifProtocol.X86)]
    public void The_name_that_is_written_is_read_as_the_same_layout(BlkifProtocol protocol)
    {
        using (Assert.EnterMultipleScope())
        {
            Assert.That(BlkifProtocols.TryParse(BlkifProtocols.NameOf(protocol), out BlkifProtocol read), Is.True);
            Assert.That(read, Is.EqualTo(protocol));
        }
    }

    [Test]
    public void The_32_bit_layout_is_written_by_its_own_name() =>
        Assert.That(BlkifProtocols.NameOf(BlkifProtocol.X86), Is.EqualTo("x86_32-abi"));

    [Test]
    public void Native_is_written_as_the_layout_that_it_is_here() =>
        Assert.That(BlkifProtocols.NameOf(BlkifProtocol.Native), Is.EqualTo(BlkifProtocols.NameOf(BlkifProtocols.Resolve(BlkifProtocol.Native))));

    [Test]
    public void Native_is_the_layout_with_64_bit_integers_aligned_to_8_except_in_a_32_bit_x86_process()
    {
        BlkifProtocol expected = RuntimeInformation.ProcessArchitecture == Architecture.X86 ? BlkifProtocol.X86 : BlkifProtocol.X64;

        Assert.That(BlkifProtocols.Resolve(BlkifProtocol.Native), Is.EqualTo(expected));
    }

    [TestCase(BlkifProtocol.X64)]
    [TestCase(BlkifProtocol.X86)]
    public void A_layout_that_is_named_is_kept(BlkifProtocol protocol) => Assert.That(BlkifProtocols.Resolve(protocol), Is.EqualTo(protocol));
}
