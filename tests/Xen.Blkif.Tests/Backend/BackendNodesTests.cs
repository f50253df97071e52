using Xen.Blkif.Backend;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Tests.Backend;

internal sealed class BackendNodesTests
{
    [TestCase("1", "1", TestName = "The_last_word_of_a_device_spares_a_disk_that_the_toolstack_has_made_anew")]
    [TestCase("2", "6", TestName = "The_last_word_of_a_device_closes_one_that_was_offered")]
    [TestCase("4", "6", TestName = "The_last_word_of_a_device_closes_one_that_was_connected")]
    [TestCase("5", "6", TestName = "The_last_word_of_a_device_closes_one_that_was_closing")]
    [TestCase("6", "6", TestName = "The_last_word_of_a_device_is_said_once")]
    public void Announce_end(string found, string left)
    {
        using var xen = new SimulatedXen();
        var paths = new DevicePaths(xen.Domain, "blkif", 5, VirtualDevice.Parse("xvda"));
        xen.Store.Write(paths.InBackend("frontend"), paths.Frontend);
        xen.Store.Write(paths.InBackend("state"), found);

        new BackendNodes(xen.Store, paths).AnnounceEnd();

        Assert.That(xen.Store.Read(paths.InBackend("state")), Is.EqualTo(left));
    }

    [Test]
    public void A_device_whose_nodes_are_gone_says_nothing()
    {
        using var xen = new SimulatedXen();
        var paths = new DevicePaths(xen.Domain, "blkif", 5, VirtualDevice.Parse("xvda"));

        new BackendNodes(xen.Store, paths).AnnounceEnd();

        Assert.That(xen.Store.Read(paths.InBackend("state")), Is.Null);
    }
}
