using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Xen.Blkif.Protocol;
using Xen.Blkif.Rings;
using Xen.Blkif.Tests.Reference;

namespace Xen.Blkif.Tests.Protocol;

/// <summary>Every size and offset of the wire, against the documented numbers and against a C compiler with Xen's headers.</summary>
[TestFixture]
[Parallelizable(ParallelScope.All)]
public sealed class AbiLayoutTests
{
    private static readonly (Type X64, Type X86, string Name)[] Structs =
    [
        (typeof(X64Request), typeof(X86Request), "blkif_request"),
        (typeof(X64DiscardRequest), typeof(X86DiscardRequest), "blkif_request_discard"),
        (typeof(X64IndirectRequest), typeof(X86IndirectRequest), "blkif_request_indirect"),
        (typeof(X64Response), typeof(X86Response), "blkif_response"),
        (typeof(BlkifSegment), typeof(BlkifSegment), "blkif_request_segment"),
    ];

    // Our name of a field, Xen's name of it.
    private static readonly (string Struct, string Field, string XenField)[] Fields =
    [
        ("blkif_request", "Operation", "operation"),
        ("blkif_request", "SegmentCount", "nr_segments"),
        ("blkif_request", "Handle", "handle"),
        ("blkif_request", "Id", "id"),
        ("blkif_request", "SectorNumber", "sector_number"),
        ("blkif_request", "Segments", "seg"),
        ("blkif_request_discard", "Operation", "operation"),
        ("blkif_request_discard", "Flags", "flag"),
        ("blkif_request_discard", "Handle", "handle"),
        ("blkif_request_discard", "Id", "id"),
        ("blkif_request_discard", "SectorNumber", "sector_number"),
        ("blkif_request_discard", "SectorCount", "nr_sectors"),
        ("blkif_request_indirect", "Operation", "operation"),
        ("blkif_request_indirect", "IndirectOperation", "indirect_op"),
        ("blkif_request_indirect", "SegmentCount", "nr_segments"),
        ("blkif_request_indirect", "Id", "id"),
        ("blkif_request_indirect", "SectorNumber", "sector_number"),
        ("blkif_request_indirect", "Handle", "handle"),
        ("blkif_request_indirect", "IndirectReferences", "indirect_grefs"),
        ("blkif_response", "Id", "id"),
        ("blkif_response", "Operation", "operation"),
        ("blkif_response", "Status", "status"),
        ("blkif_request_segment", "_reference", "gref"),
        ("blkif_request_segment", "_firstSector", "first_sect"),
        ("blkif_request_segment", "_lastSector", "last_sect"),
    ];

    private static readonly (string Name, int Ours)[] Numbers =
    [
        ("BLKIF_OP_READ", (int)BlkifOperation.Read),
        ("BLKIF_OP_WRITE", (int)BlkifOperation.Write),
        ("BLKIF_OP_WRITE_BARRIER", (int)BlkifOperation.WriteBarrier),
        ("BLKIF_OP_FLUSH_DISKCACHE", (int)BlkifOperation.FlushDiskCache),
        ("BLKIF_OP_RESERVED_1", (int)BlkifOperation.Reserved),
        ("BLKIF_OP_DISCARD", (int)BlkifOperation.Discard),
        ("BLKIF_OP_INDIRECT", (int)BlkifOperation.Indirect),
        ("BLKIF_RSP_OKAY", (int)BlkifStatus.Okay),
        ("BLKIF_RSP_ERROR", (int)BlkifStatus.Error),
        ("BLKIF_RSP_EOPNOTSUPP", (int)BlkifStatus.NotSupported),
        ("BLKIF_MAX_SEGMENTS_PER_REQUEST", BlkifLimits.MaxSegments),
        ("BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST", BlkifLimits.MaxIndirectPages),
        ("BLKIF_DISCARD_SECURE", BlkifLimits.SecureDiscard),
    ];

    private static readonly string[] HeaderFields =
    [
        "blkif_sring.req_prod", "blkif_sring.req_event", "blkif_sring.rsp_prod", "blkif_sring.rsp_event", "blkif_sring.ring",
    ];

    private static readonly BlkifProtocol[] Abis = [BlkifProtocol.X64, BlkifProtocol.X86];

    [TestCase(typeof(X64Request), 112)]
    [TestCase(typeof(X86Request), 108)]
    [TestCase(typeof(X64DiscardRequest), 32)]
    [TestCase(typeof(X86DiscardRequest), 28)]
    [TestCase(typeof(X64IndirectRequest), 64)]
    [TestCase(typeof(X86IndirectRequest), 64)]
    [TestCase(typeof(X64Response), 16)]
    [TestCase(typeof(X86Response), 12)]
    [TestCase(typeof(BlkifSegment), 8)]
    [TestCase(typeof(BlkifSegments), 88)]
    public void A_struct_has_the_documented_size(Type type, int size) => Assert.That(SizeOf(type), Is.EqualTo(size));

    [TestCase(typeof(X64Request), "Id", 8)]
    [TestCase(typeof(X64Request), "SectorNumber", 16)]
    [TestCase(typeof(X64Request), "Segments", 24)]
    [TestCase(typeof(X64DiscardRequest), "SectorCount", 24)]
    [TestCase(typeof(X64IndirectRequest), "Handle", 24)]
    [TestCase(typeof(X64IndirectRequest), "IndirectReferences", 28)]
    [TestCase(typeof(X64Response), "Status", 10)]
    [TestCase(typeof(X86Request), "Id", 4)]
    [TestCase(typeof(X86Request), "SectorNumber", 12)]
    [TestCase(typeof(X86Request), "Segments", 20)]
    [TestCase(typeof(X86DiscardRequest), "SectorCount", 20)]
    [TestCase(typeof(X86IndirectRequest), "Handle", 20)]
    [TestCase(typeof(X86IndirectRequest), "IndirectReferences", 24)]
    [TestCase(typeof(X86Response), "Status", 10)]
    public void A_field_has_the_documented_offset(Type type, string field, int offset) => Assert.That(OffsetOf(type, field), Is.EqualTo(offset));

    [TestCase(0, 32u)]
    [TestCase(1, 64u)]
    [TestCase(2, 128u)]
    [TestCase(3, 256u)]
    [TestCase(4, 512u)]
    public void A_ring_has_the_documented_slots_in_both_layouts(int pageOrder, uint slots)
    {
        using (Assert.EnterMultipleScope())
        {
            Assert.That(RingSize.Slots<X64Request, X64Response>(pageOrder), Is.EqualTo(slots));
            Assert.That(RingSize.Slots<X86Request, X86Response>(pageOrder), Is.EqualTo(slots));
        }
    }

    [TestCase(-1)]
    [TestCase(5)]
    [TestCase(int.MinValue)]
    [TestCase(int.MaxValue)]
    public void A_ring_of_another_page_order_is_refused(int pageOrder) =>
        Assert.That(() => RingSize.Slots<X64Request, X64Response>(pageOrder), Throws.InstanceOf<ArgumentOutOfRangeException>());

    [TestCaseSource(nameof(SizeRows))]
    public void A_struct_has_the_size_that_C_gives_it(BlkifProtocol protocol, Type type, string name) =>
        Assert.That(SizeOf(type), Is.EqualTo(XenReference.Layout(protocol)[name].Size));

    [TestCaseSource(nameof(FieldRows))]
    public void A_field_lies_where_C_puts_it(BlkifProtocol protocol, Type type, string field, string name)
    {
        LayoutRow row = XenReference.Layout(protocol)[name];

        using (Assert.EnterMultipleScope())
        {
            Assert.That(OffsetOf(type, field), Is.EqualTo(row.Value), "offset");
            Assert.That(SizeOfField(type, field), Is.EqualTo(row.Size), "size");
        }
    }

    [Test]
    public void A_ring_has_the_slots_stride_and_header_that_C_gives_it(
        [Values(BlkifProtocol.X64, BlkifProtocol.X86)] BlkifProtocol protocol,
        [Values(0, 1, 2, 3, 4)] int pageOrder)
    {
        IReadOnlyDictionary<string, LayoutRow> layout = XenReference.Layout(protocol);
        bool x86 = protocol == BlkifProtocol.X86;

        using (Assert.EnterMultipleScope())
        {
            Assert.That(
                x86 ? RingSize.Slots<X86Request, X86Response>(pageOrder) : RingSize.Slots<X64Request, X64Response>(pageOrder),
                Is.EqualTo((uint)layout[$"slots.{pageOrder}"].Value));
            Assert.That(
                x86 ? RingSize.Stride<X86Request, X86Response>() : RingSize.Stride<X64Request, X64Response>(),
                Is.EqualTo(layout["blkif_sring.ring"].Size));
            Assert.That(layout["blkif_sring.ring"].Value, Is.EqualTo(RingSize.HeaderLength));
        }
    }

    [Test]
    public void The_header_that_the_tests_write_to_is_that_of_C([Values(BlkifProtocol.X64, BlkifProtocol.X86)] BlkifProtocol protocol)
    {
        IReadOnlyDictionary<string, LayoutRow> layout = XenReference.Layout(protocol);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(layout["blkif_sring.req_prod"], Is.EqualTo(new LayoutRow("blkif_sring.req_prod", 0, 4)));
            Assert.That(layout["blkif_sring.req_event"], Is.EqualTo(new LayoutRow("blkif_sring.req_event", 4, 4)));
            Assert.That(layout["blkif_sring.rsp_prod"], Is.EqualTo(new LayoutRow("blkif_sring.rsp_prod", 8, 4)));
            Assert.That(layout["blkif_sring.rsp_event"], Is.EqualTo(new LayoutRow("blkif_sring.rsp_event", 12, 4)));
        }
    }

    [TestCaseSource(nameof(NumberRows))]
    public void A_number_is_that_of_Xens_header(string name, int ours) =>
        Assert.That(ours, Is.EqualTo(XenReference.Layout(BlkifProtocol.X64)[name].Value));

    [Test]
    public void Every_row_of_the_C_table_is_compared_with_something()
    {
        IEnumerable<string> compared =
        [
            .. Structs.Select(row => row.Name),
            .. Fields.Select(row => $"{row.Struct}.{row.XenField}"),
            .. Numbers.Select(row => row.Name),
            .. Enumerable.Range(0, 5).Select(order => $"slots.{order}"),
            .. HeaderFields,
        ];

        Assert.That(XenReference.Layout(BlkifProtocol.X64).Keys, Is.EquivalentTo(compared));
    }

    private static IEnumerable<TestCaseData> SizeRows() =>
        from row in Structs
        from abi in Abis
        select new TestCaseData(abi, abi == BlkifProtocol.X86 ? row.X86 : row.X64, row.Name);

    private static IEnumerable<TestCaseData> FieldRows() =>
        from row in Structs
        from field in Fields
        where field.Struct == row.Name
        from abi in Abis
        select new TestCaseData(abi, abi == BlkifProtocol.X86 ? row.X86 : row.X64, field.Field, $"{row.Name}.{field.XenField}");

    private static IEnumerable<TestCaseData> NumberRows() => Numbers.Select(row => new TestCaseData(row.Name, row.Ours));

    private static int OffsetOf(Type type, string field) => (int)Marshal.OffsetOf(type, field);

    // What the runtime makes of a type in memory; Marshal.SizeOf would speak of its marshalled twin.
    private static int SizeOf(Type type) =>
        (int)typeof(Unsafe).GetMethod(nameof(Unsafe.SizeOf))!.MakeGenericMethod(type).Invoke(null, null)!;

    private static int SizeOfField(Type type, string field) =>
        SizeOf(type.GetField(field, BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic)!.FieldType);
}
