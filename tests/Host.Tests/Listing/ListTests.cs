using System.Text.Json;
using System.Text.RegularExpressions;
using Xen.Blkif.Samples.Host.Listing;
using Xen.Blkif.Samples.Host.Status;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Samples.Host.Tests.Listing;

/// <summary>What 'xen-blkif list' shows of xenstore and of those who serve.</summary>
internal sealed class ListTests
{
    private static readonly OperationsReport Busy = new(
        new OperationReport(1200, 1, 0, 48 << 20, 85.4, 12_340),
        new OperationReport(7, 0, 2, 3584, 999, 2_500_000),
        new OperationReport(3, 0, 0, 0, 10, 10),
        new OperationReport(0, 0, 0, 0, null, null),
        new OperationReport(0, 0, 4, 0, null, null));

    [Test]
    public void The_table_shows_every_disk_of_xenstore_with_what_is_known_of_it()
    {
        using SimulatedXen xen = ThreeDisks();
        string table = DiskTable.Of(ListedDisk.ReadAll(xen, "blkif", [new ProcessReport(42, [Served("/local/domain/0/backend/blkif/5/51712")])]));
        Assert.That(table, Is.EqualTo("""
            DOMAIN  DISK   MODE     SIZE  STATE                  LAYOUT  QUEUES  PAGES  MEMORY      READS    READ      P50/P99  WRITES  WRITTEN     P50/P99  FLUSHES  DISCARDS  ERRORS  TARGET
            web     xvda   w       8 GiB  Connected              x86_64       4     16  persistent   1200  48 MiB  85µs/12.3ms       7  3.5 KiB  999µs/2.5s        3         0       7  /srv/web.img
            web     xvdb   r     512 MiB  InitWait/Initialising  -            -      -  -               -       -            -       -        -           -        -         -       -  /srv/data.img
            7       51712  -           -  Closed/gone            -            -      -  -               -       -            -       -        -           -        -         -       -  lost (no such image)

            """.ReplaceLineEndings("\n")));
    }

    [Test]
    public void Machines_get_an_array_of_objects()
    {
        using SimulatedXen xen = ThreeDisks();
        IReadOnlyList<ListedDisk> disks = ListedDisk.ReadAll(xen, "blkif", [new ProcessReport(42, [Served("/local/domain/0/backend/blkif/5/51712")])]);
        using JsonDocument document = JsonDocument.Parse(JsonSerializer.Serialize(disks, ReportJson.Default.IReadOnlyListListedDisk));
        JsonElement[] rows = [.. document.RootElement.EnumerateArray()];
        Assert.That(rows, Has.Length.EqualTo(3));
        Assert.That(
            (rows[0].GetProperty("domain").GetInt32(), rows[0].GetProperty("disk").GetString(), rows[0].GetProperty("size").GetInt64(), rows[0].GetProperty("pid").GetInt32()),
            Is.EqualTo((5, "xvda", 8L << 30, 42)));
        JsonElement read = rows[0].GetProperty("operations").GetProperty("read");
        Assert.That((read.GetProperty("done").GetInt64(), read.GetProperty("p99Microseconds").GetDouble()), Is.EqualTo((1200, 12_340d)));
        Assert.That(rows[1].GetProperty("operations").ValueKind, Is.EqualTo(JsonValueKind.Null), "nobody answers for it");
        Assert.That(rows[2].GetProperty("error").GetString(), Is.EqualTo("no such image"));
    }

    [Test]
    public void What_is_served_and_is_not_in_xenstore_is_no_disk()
    {
        using var xen = new SimulatedXen();
        IReadOnlyList<ListedDisk> disks = ListedDisk.ReadAll(xen, "blkif", [new ProcessReport(42, [Served("/local/domain/0/backend/blkif/5/51712")])]);
        Assert.That(disks, Is.Empty);
        Assert.That(DiskTable.Of(disks).Split('\n', StringSplitOptions.RemoveEmptyEntries), Has.Length.EqualTo(1), "the heads of the columns");
    }

    [TestCase("state", @"\e[2J\nroot")]
    [TestCase("state", "99")]
    [TestCase("state", @"\a")]
    public void Whatever_a_guest_writes_the_table_keeps_its_form(string key, string value)
    {
        using SimulatedXen xen = ThreeDisks();
        xen.Store.Write($"/local/domain/5/device/vbd/51712/{key}", Regex.Unescape(value));
        string table = DiskTable.Of(ListedDisk.ReadAll(xen, "blkif", []));
        Assert.That(table.Split('\n', StringSplitOptions.RemoveEmptyEntries), Has.Length.EqualTo(4));
        Assert.That(table.Replace("\n", "", StringComparison.Ordinal).Any(char.IsControl), Is.False);
    }

    private static DiskReport Served(string backend) => new("5/xvda", backend, "Connected", "/srv/web.img", "x86_64", 16, "persistent", 4, Busy);

    // One that is connected, one that waits for its guest, and what is left of one.
    private static SimulatedXen ThreeDisks()
    {
        var xen = new SimulatedXen();
        Write(xen.Store, "/local/domain/5", ("name", "web"));
        Write(
            xen.Store, "/local/domain/0/backend/blkif/5/51712",
            ("frontend", "/local/domain/5/device/vbd/51712"), ("dev", "xvda"), ("mode", "w"), ("sectors", "16777216"), ("state", "4"));
        Write(xen.Store, "/local/domain/5/device/vbd/51712", ("state", "4"));
        Write(
            xen.Store, "/local/domain/0/backend/blkif/5/51728",
            ("frontend", "/local/domain/5/device/vbd/51728"), ("dev", "xvdb"), ("mode", "r"), ("sectors", "1048576"), ("state", "2"), ("params", "/srv/data.img"));
        Write(xen.Store, "/local/domain/5/device/vbd/51728", ("state", "1"));
        Write(xen.Store, "/local/domain/0/backend/blkif/7/51712", ("state", "6"), ("params", "lost"), ("hotplug-error", "no such image"));
        return xen;
    }

    private static void Write(SimulatedXenStore store, string folder, params (string Key, string Value)[] nodes)
    {
        foreach ((string key, string value) in nodes)
            store.Write($"{folder}/{key}", value);
    }
}
