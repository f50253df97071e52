using Xen.Blkif.Targets;

namespace Xen.Blkif.Tests.Targets;

internal sealed class BlockTargetInfoTests
{
    private static readonly BlockTargetInfo Info = new(1 << 20);

    [Test]
    public void A_length_is_checked_however_it_is_set([Values(0, -512, 1, 513)] long length)
    {
        Assert.That(() => new BlockTargetInfo(length), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => Info with { Length = length }, Throws.TypeOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public void A_sector_size_is_one_of_four([Values(0, 511, 513, 8192, -512)] int size) =>
        Assert.That(() => Info with { LogicalSectorSize = size }, Throws.TypeOf<ArgumentOutOfRangeException>());

    // A discard is cut into pieces of this length: of pieces of nothing there would be no end.
    [Test]
    public void A_discard_can_be_cut_into_pieces_of_whole_sectors([Values(0, -512, 1, 513)] long length) =>
        Assert.That(() => Info with { MaxDiscardLength = length }, Throws.TypeOf<ArgumentOutOfRangeException>());
}
