using Xen.Blkif.Protocol;

namespace Xen.Blkif.Targets;

/// <summary>What a target is and can do. Read when a disk is offered, and told to the guest; of a disk in use only the length is read again.</summary>
/// <remarks>Immutable.</remarks>
public sealed record BlockTargetInfo
{
    /// <summary>Describes a target that can read and write.</summary>
    /// <param name="length">Its size in bytes: at least one, and a whole number of, sectors of 512 bytes.</param>
    /// <exception cref="ArgumentOutOfRangeException">The size is no such number.</exception>
    public BlockTargetInfo(long length) => Length = length;

    /// <summary>The size in bytes, a multiple of 512.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is not positive, or no multiple.</exception>
    public long Length
    {
        get;
        init => field = IsWholeSectors(value) ? value : throw new ArgumentOutOfRangeException(
            nameof(value), value, "A disk has a whole number of sectors of 512 bytes, and at least one.");
    }

    /// <summary>The smallest transfer in bytes: 512, 1024, 2048 or 4096. Offsets and lengths that a queue is given are multiples of it.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is none of the four.</exception>
    public int LogicalSectorSize
    {
        get;
        init => field = value is 512 or 1024 or 2048 or 4096 ? value : throw new ArgumentOutOfRangeException(
            nameof(value), value, "The logical sector size of a disk is 512, 1024, 2048 or 4096 bytes.");
    } = BlkifLimits.SectorSize;

    /// <summary>The transfer size in bytes below which writes cost more; a power of two, at least the logical sector size.</summary>
    public int PhysicalSectorSize { get; init; } = BlkifLimits.SectorSize;

    /// <summary>Whether writes and discards are refused before they reach a queue.</summary>
    public bool ReadOnly { get; init; }

    /// <summary>Whether a flush brings completed writes to stable storage.</summary>
    public Capability Flush { get; init; }

    /// <summary>Whether a discard gives storage back.</summary>
    public Capability Discard { get; init; }

    /// <summary>The longest discard that a queue takes in one piece, in bytes; a multiple of the logical sector size. Longer ones are split.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is not positive, or no multiple of 512.</exception>
    public long MaxDiscardLength
    {
        get;
        init => field = IsWholeSectors(value) ? value : throw new ArgumentOutOfRangeException(
            nameof(value), value, "A discard is cut into pieces of whole sectors, at least one.");
    } = 1L << 30;

    /// <summary>The unit in which storage is given back, in bytes; a multiple of the logical sector size. Discards are rounded inwards to whole units.</summary>
    public int DiscardGranularity { get; init; } = BlkifLimits.SectorSize;

    /// <summary>Bytes from the start of the disk to the first such unit: less than one, a multiple of the logical sector size.</summary>
    public int DiscardAlignment { get; init; }

    /// <summary>
    /// Whether a queue takes <see cref="BlockIoKind.SecureDiscard"/>, after which nobody can recover the data by any means. The guest is
    /// offered it together with <see cref="Discard"/>, and not without.
    /// </summary>
    public bool ErasesSecurely { get; init; }

    /// <summary>What requests are checked against before the target gets them.</summary>
    /// <param name="maxIndirectSegments">As in <see cref="RequestLimits(ulong, int, bool, bool, bool, int)"/>.</param>
    /// <param name="barriers">Whether the guest is offered writes with a barrier, where there are flushes.</param>
    public RequestLimits ToRequestLimits(int maxIndirectSegments = 0, bool barriers = false) => new(
        (ulong)Length / BlkifLimits.SectorSize,
        LogicalSectorSize,
        ReadOnly,
        Flush != Capability.None,
        Discard != Capability.None,
        maxIndirectSegments)
    {
        SecureDiscard = ErasesSecurely && Discard != Capability.None,
        Barrier = barriers && Flush != Capability.None,
    };

    /// <summary>Checks what the properties must be to each other, which none of them can check alone.</summary>
    /// <exception cref="InvalidOperationException">Two of them do not go together.</exception>
    internal void Validate()
    {
        RequireMultiple(nameof(Length), Length);
        RequireMultiple(nameof(MaxDiscardLength), MaxDiscardLength);
        RequireMultiple(nameof(DiscardGranularity), DiscardGranularity);
        RequireMultiple(nameof(PhysicalSectorSize), PhysicalSectorSize);
        if (DiscardAlignment < 0 || DiscardAlignment >= DiscardGranularity || DiscardAlignment % LogicalSectorSize != 0)
        {
            throw new InvalidOperationException(
                $"A target's {nameof(DiscardAlignment)} is {DiscardAlignment}, which is not a multiple of the logical sector size of {LogicalSectorSize} bytes below the granularity of {DiscardGranularity}.");
        }
    }

    private void RequireMultiple(string property, long value)
    {
        if (value <= 0 || value % LogicalSectorSize != 0)
            throw new InvalidOperationException($"A target's {property} is {value}, which is not a positive multiple of the logical sector size of {LogicalSectorSize} bytes.");
    }

    private static bool IsWholeSectors(long length) => length > 0 && length % BlkifLimits.SectorSize == 0;
}
