using Xen.Blkif.Protocol;
using Xen.Blkif.Targets;

namespace Xen.Blkif.Backend;

/// <summary>What a guest is told of its disk: what the target says of itself, less what the toolstack does not allow (XSA-142).</summary>
/// <remarks>
/// Read with each offer. From then on only the length may become another, and only when somebody asks for it to be read again. Used by the
/// device's own flow alone, but for <see cref="AskForLength"/>.
/// </remarks>
internal sealed class DiskDescription(IBlockTarget target, BackendLog log)
{
    private BlockTargetInfo? _info;
    private long _toldLength;
    private int _lengthAsked;

    /// <summary>What the toolstack says of the disk.</summary>
    public ToolstackTerms Terms { get; set; } = new(IsReadOnly: true, AllowsDiscard: false, IsCdrom: false, IsRemovable: false);

    /// <summary>What the guest is told, and what the last reading gave.</summary>
    public BlockTargetInfo Info
    {
        get
        {
            BlockTargetInfo info = Terms.IsReadOnly ? _info! with { ReadOnly = true } : _info!;
            return Terms.IsReadOnly || !Terms.AllowsDiscard ? info with { Discard = Capability.None } : info;
        }
    }

    /// <summary>The length in units of 512 bytes.</summary>
    public long Sectors => _info!.Length / BlkifLimits.SectorSize;

    /// <summary>Whether the guest was told of another length.</summary>
    public bool HasNewLength => _info is not null && _info.Length != _toldLength;

    /// <summary>Reads all of it.</summary>
    /// <exception cref="InvalidOperationException">What the target says makes no sense. It may throw others.</exception>
    public BlockTargetInfo Read()
    {
        BlockTargetInfo info = target.Info;
        info.Validate();
        _info = info;
        return Info;
    }

    /// <summary>Has the next step read the length again. Any thread.</summary>
    public void AskForLength() => Interlocked.Exchange(ref _lengthAsked, 1);

    /// <summary>Reads the length where somebody asked for it and the disk was offered. Does not throw: a disk keeps its size then.</summary>
    /// <returns>Whether it is another than it was.</returns>
    public bool TryReadNewLength()
    {
        // Taken before the target is asked: who asks from now on is served by the next step.
        if (Interlocked.Exchange(ref _lengthAsked, 0) == 0 || _info is null)
            return false;

        try
        {
            BlockTargetInfo info = _info with { Length = target.Info.Length };
            info.Validate();
            bool isNew = info.Length != _info.Length;
            _info = info;
            return isNew;
        }
#pragma warning disable CA1031 // a target that cannot say how long it is now is served as what it was
        catch (Exception e)
#pragma warning restore CA1031
        {
            log.LengthKept(_info.Length, e);
            return false;
        }
    }

    /// <summary>Reads all of it for a guest that was told of the disk before, by another process. A length that is another one by now is new.</summary>
    /// <param name="sectors">The length that the guest was told, in units of 512 bytes.</param>
    public void ReadAsTold(long sectors)
    {
        Read();
        _toldLength = sectors * BlkifLimits.SectorSize;
    }

    /// <summary>Notes that the store has the length now.</summary>
    public void NoteTold()
    {
        if (_toldLength != 0 && HasNewLength)
            log.Resized(_info!.Length, _toldLength);
        _toldLength = _info!.Length;
    }
}
