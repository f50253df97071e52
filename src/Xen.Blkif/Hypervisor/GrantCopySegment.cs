using System.Runtime.InteropServices;

namespace Xen.Blkif.Hypervisor;

/// <summary>One piece of a grant copy: between local memory and part of one granted page.</summary>
/// <remarks>24 bytes, laid out as <c>xengnttab_grant_copy_segment_t</c> of libxengnttab, so that an array of them is handed on as it is.</remarks>
[StructLayout(LayoutKind.Sequential)]
public readonly struct GrantCopySegment : IEquatable<GrantCopySegment>
{
    private const ushort SourceIsGrant = 1 << 0;
    private const ushort DestinationIsGrant = 1 << 1;
    private const int FlagsShift = 16, StatusShift = 32;

    private readonly ulong _source;
    private readonly ulong _destination;

    // { uint16_t len; uint16_t flags; int16_t status; }, little-endian: in one word, for a piece is written whole and copied whole, and a
    // processor cannot bring what it stored in small parts together for one load.
    private readonly ulong _rest;

    private GrantCopySegment(ulong source, ulong destination, ulong rest)
    {
        _source = source;
        _destination = destination;
        _rest = rest;
    }

    /// <summary>Whether the copy goes from local memory into the guest's page.</summary>
    public bool ToGuest => (_rest & ((ulong)DestinationIsGrant << FlagsShift)) != 0;

    /// <summary>Bytes to copy, 1 to 4096.</summary>
    public ushort Length => (ushort)_rest;

    /// <summary>The address of the local side.</summary>
    public nint LocalAddress => (nint)(ToGuest ? _source : _destination);

    /// <summary>The granted page.</summary>
    public GrantReference Reference => new((uint)Foreign);

    /// <summary>The first byte of the piece in the granted page, 0 to 4095.</summary>
    public ushort Offset => (ushort)(Foreign >> 32);

    /// <summary>The domain that owns the granted page.</summary>
    public DomainId Domain => new((int)(Foreign >> 48));

    /// <summary>How it went. A failure from the start, so that a piece that no copy reported on does not pass for done.</summary>
    public GrantStatus Status => (GrantStatus)(short)(_rest >> StatusShift);

    private ulong Foreign => ToGuest ? _destination : _source;

    /// <summary>A piece that goes from local memory into a guest's page.</summary>
    /// <param name="local">Where the bytes are.</param>
    /// <param name="domain">The guest.</param>
    /// <param name="reference">Its page.</param>
    /// <param name="offset">The first byte in the page, 0 to 4095.</param>
    /// <param name="length">Bytes, with the offset at most 4096.</param>
    public static GrantCopySegment IntoGuest(nint local, DomainId domain, GrantReference reference, int offset, int length) =>
        new((ulong)local, Pack(domain, reference, offset), Pack(length, DestinationIsGrant, GrantStatus.GeneralError));

    /// <summary>A piece that goes from a guest's page into local memory.</summary>
    /// <param name="local">Where the bytes go.</param>
    /// <param name="domain">The guest.</param>
    /// <param name="reference">Its page.</param>
    /// <param name="offset">The first byte in the page, 0 to 4095.</param>
    /// <param name="length">Bytes, with the offset at most 4096.</param>
    public static GrantCopySegment OutOfGuest(nint local, DomainId domain, GrantReference reference, int offset, int length) =>
        new(Pack(domain, reference, offset), (ulong)local, Pack(length, SourceIsGrant, GrantStatus.GeneralError));

    /// <summary>The same piece with the result written down, for grant tables that are not libxengnttab.</summary>
    /// <param name="status">How it went.</param>
    public GrantCopySegment With(GrantStatus status) => new(_source, _destination, Pack((ushort)_rest, (ushort)(_rest >> FlagsShift), status));

    /// <inheritdoc/>
    public bool Equals(GrantCopySegment other) =>
        _source == other._source && _destination == other._destination && _rest == other._rest;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is GrantCopySegment other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => unchecked((int)(_source ^ _destination));

    /// <summary>Compares two pieces field by field.</summary>
    public static bool operator ==(GrantCopySegment left, GrantCopySegment right) => left.Equals(right);

    /// <summary>Compares two pieces field by field.</summary>
    public static bool operator !=(GrantCopySegment left, GrantCopySegment right) => !left.Equals(right);

    // { uint32_t ref; uint16_t offset; uint16_t domid; }, little-endian.
    private static ulong Pack(DomainId domain, GrantReference reference, int offset) =>
        reference.Value | ((ulong)(ushort)offset << 32) | ((ulong)domain.Value << 48);

    // All but the length is a constant, where a piece is made.
    private static ulong Pack(int length, ushort flags, GrantStatus status) =>
        (ushort)length | (((ulong)flags << FlagsShift) | ((ulong)(ushort)status << StatusShift));
}
