using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Fuzz;

/// <summary>The hostile guest's pages for data: granted for good, granted for now, for reading only, to another domain, or to no one.</summary>
internal sealed unsafe class Estate
{
    private const byte Canary = 0xC5;
    private const int Few = 4;
    private const int Many = 16;

    private readonly SimulatedGuest _guest;
    private readonly GrantReference[] _firm;
    private readonly GrantReference[] _shaky;
    private readonly GrantReference[] _readOnly;
    private readonly GrantReference[] _foreign;
    private readonly GrantReference[] _segmentPages;
    private readonly GrantReference[] _marked;
    private readonly int _firstSegmentPage;
    private readonly int _shakyPage;
    private readonly int _forbiddenPage;
    private readonly int _forbiddenPages;

    public Estate(SimulatedGuest guest)
    {
        _guest = guest;
        _firm = [.. Enumerable.Range(guest.AllocatePages(Many), Many).Select(page => guest.Grant(page, 0, writable: true))];
        _shakyPage = guest.AllocatePages(Many);
        _shaky = [.. Enumerable.Range(_shakyPage, Many).Select(page => guest.Grant(page, 0, writable: true))];

        _firstSegmentPage = guest.AllocatePages(Few);
        _segmentPages = [.. Enumerable.Range(_firstSegmentPage, Few).Select(page => guest.Grant(page, 0, writable: true))];

        int marked = guest.AllocatePages(Few);
        _marked = [.. Enumerable.Range(marked, Few).Select(page => guest.Grant(page, 0, writable: true))];
        new Span<byte>((void*)guest.AddressOf(marked), Few * XenPage.Size).Fill(Solitude.Mark);

        // Nobody may write from here on, the pages that are granted for reading or to another domain among them.
        _forbiddenPages = 8 * Few;
        _forbiddenPage = guest.AllocatePages(_forbiddenPages);
        _readOnly = [.. Enumerable.Range(_forbiddenPage, Few).Select(page => guest.Grant(page, 0, writable: false))];
        _foreign = [.. Enumerable.Range(_forbiddenPage + Few, Few).Select(page => guest.Grant(page, 77, writable: true))];
        new Span<byte>((void*)guest.AddressOf(_forbiddenPage), _forbiddenPages * XenPage.Size).Fill(Canary);
    }

    /// <summary>A page that stays granted.</summary>
    public GrantReference Firm(Random random) => _firm[random.Next(_firm.Length)];

    /// <summary>A page whose grant may go at any time.</summary>
    public GrantReference Shaky(Random random) => _shaky[random.Next(_shaky.Length)];

    /// <summary>All of these.</summary>
    public IReadOnlyList<GrantReference> AllShaky => _shaky;

    /// <summary>A page that stays granted, and that nothing but barriers may use.</summary>
    public GrantReference Marked(Random random) => _marked[random.Next(_marked.Length)];

    public GrantReference ReadOnly(Random random) => _readOnly[random.Next(_readOnly.Length)];

    /// <summary>The last request that has its segments in each of the pages for them.</summary>
    public ulong[] SegmentUsers { get; } = new ulong[Few];

    /// <summary>One of the pages for segments of indirect requests.</summary>
    public GrantReference SegmentPage(int index) => _segmentPages[index];

    public Span<BlkifSegment> SegmentsIn(int index) => new((void*)_guest.AddressOf(_firstSegmentPage + index), BlkifLimits.SegmentsPerIndirectPage);

    /// <summary>A reference under which this domain gets nothing.</summary>
    public GrantReference Bad(Random random) => random.Next(4) switch
    {
        0 => _foreign[random.Next(_foreign.Length)],
        1 => new GrantReference((uint)random.Next(8)),
        2 => new GrantReference((uint)random.Next(400, 600)),
        _ => new GrantReference(uint.MaxValue - (uint)random.Next(3)),
    };

    /// <summary>Takes a grant back, and grants the page in the same way or another.</summary>
    public void Replace(Random random)
    {
        int which = random.Next(_shaky.Length);

        // Refused while the page is mapped, as where the guest has named it as its ring.
        if (_guest.TryRevoke(_shaky[which]))
            _shaky[which] = _guest.Grant(_shakyPage + which, random.Next(3) == 0 ? 77 : 0, writable: random.Next(3) != 0);
    }

    /// <summary>Whether every page that nobody may write to is as it was.</summary>
    public bool IsUntouched() =>
        !new ReadOnlySpan<byte>((void*)_guest.AddressOf(_forbiddenPage), _forbiddenPages * XenPage.Size).ContainsAnyExcept(Canary);

    /// <summary>Takes all grants back.</summary>
    /// <returns>Whether nothing was mapped any more.</returns>
    public bool TryRevokeAll()
    {
        bool all = true;
        foreach (GrantReference reference in (GrantReference[])[.. _firm, .. _shaky, .. _segmentPages, .. _marked, .. _readOnly, .. _foreign])
            all &= _guest.TryRevoke(reference);
        return all;
    }
}
