using System.Globalization;
using System.Runtime.CompilerServices;
using Xen.Blkif.Backend;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Protocol;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Tests.Hostile;

/// <summary>A guest that keeps to the handshake just so that it gets to write what it likes into its ring.</summary>
internal sealed unsafe class HostileGuest
{
    private const int GrantedPages = 24;
    private const int SegmentPages = 4; // of those, where indirect requests look for their segments
    private const int Canary = 0xC5;

    private readonly SimulatedGuest _guest;
    private readonly Random _random;
    private readonly string _frontend;
    private readonly string _backend;
    private readonly byte* _ring;
    private readonly int _ringLength;
    private readonly int _stride;
    private readonly uint _slots;
    private readonly GrantReference[] _ringReferences;
    private readonly List<GrantReference> _known = [];
    private readonly int _data;
    private readonly int _forbidden;
    private readonly int _readOnly;
    private readonly int _forbiddenPages;
    private readonly Action _disconnected;
    private SimulatedEventChannel? _channel;

    /// <param name="xen">The Xen that it lives in.</param>
    /// <param name="guest">The guest that it is.</param>
    /// <param name="vdev">The disk that it has.</param>
    /// <param name="seed">Makes it do the same again.</param>
    /// <param name="disconnected">Called after each connection.</param>
    public HostileGuest(SimulatedXen xen, SimulatedGuest guest, string vdev, int seed, Action disconnected)
    {
        _disconnected = disconnected;
        _guest = guest;
        _random = new Random(seed);
        Protocol = seed % 2 == 0 ? BlkifProtocol.X64 : BlkifProtocol.X86;
        _stride = Protocol == BlkifProtocol.X64 ? 112 : 108;
        int pages = 1 << (seed % 3);
        _frontend = $"/local/domain/{guest.Id}/device/vbd/{VirtualDevice.Parse(vdev).Number}";
        _backend = guest.Store.Read($"{_frontend}/backend")!;

        int ringPage = guest.AllocatePages(pages);
        _ring = (byte*)guest.AddressOf(ringPage);
        _ringLength = pages * XenPage.Size;
        _slots = 32u * (uint)pages;
        _ringReferences = Enumerable.Range(ringPage, pages).Select(page => guest.Grant(page, xen.Domain, writable: true)).ToArray();

        _data = guest.AllocatePages(GrantedPages);
        _known.AddRange(Enumerable.Range(_data, GrantedPages).Select(page => guest.Grant(page, xen.Domain, writable: true)));
        _readOnly = guest.AllocatePages(4);
        _known.AddRange(Enumerable.Range(_readOnly, 4).Select(page => guest.Grant(page, xen.Domain, writable: false)));

        // All the rest of its memory is granted to no one, or to another domain, and must stay as it is.
        _forbiddenPages = 64;
        _forbidden = guest.AllocatePages(_forbiddenPages);
        _known.AddRange(Enumerable.Range(_forbidden, 4).Select(page => guest.Grant(page, 77, writable: true)));
        Unsafe.InitBlock((void*)guest.AddressOf(_forbidden), Canary, (uint)(_forbiddenPages * XenPage.Size));
        Unsafe.InitBlock((void*)guest.AddressOf(_readOnly), Canary, 4 * XenPage.Size);
    }

    public BlkifProtocol Protocol { get; }

    /// <summary>How often it was let in.</summary>
    public int Connections { get; private set; }

    private XenbusState BackendState => int.TryParse(_guest.Store.Read($"{_backend}/state"), CultureInfo.InvariantCulture, out int state) ? (XenbusState)state : default;

    /// <summary>Misbehaves until told to stop, connecting anew whenever the backend has had enough.</summary>
    public void Misbehave(CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            if (!TryConnect(stop))
                continue;
            Connections++;
            int moves = _random.Next(1000, 2_000_000);
            for (int i = 0; i < moves && !stop.IsCancellationRequested; i++)
            {
                Move();
                if (i % 4096 == 0 && BackendState != XenbusState.Connected)
                    break;
            }

            Announce(XenbusState.Closed);
            if (Await(XenbusState.Closed, stop))
                _disconnected();
        }
    }

    /// <summary>The pages that the backend had no business with.</summary>
    public IEnumerable<byte> Untouchable() =>
        new ReadOnlySpan<byte>((void*)_guest.AddressOf(_forbidden), _forbiddenPages * XenPage.Size).ToArray()
            .Concat(new ReadOnlySpan<byte>((void*)_guest.AddressOf(_readOnly), 4 * XenPage.Size).ToArray())
            .Where(b => b != Canary);

    private bool TryConnect(CancellationToken stop)
    {
        Announce(XenbusState.Initialising);
        Await(XenbusState.InitWait, stop);
        new Span<byte>(_ring, 64).Clear();
        ((uint*)_ring)[1] = ((uint*)_ring)[3] = 1;

        _channel?.Dispose();
        _channel = _guest.AllocateUnbound(0);
        _guest.Store.Write($"{_frontend}/ring-page-order", Number(System.Numerics.BitOperations.Log2((uint)_ringReferences.Length)));
        for (int i = 0; i < _ringReferences.Length; i++)
            _guest.Store.Write($"{_frontend}/ring-ref{Number(i)}", _ringReferences[i].ToString());
        _guest.Store.Write($"{_frontend}/event-channel", Number(_channel.Port));
        _guest.Store.Write($"{_frontend}/feature-persistent", _random.Next(4) == 0 ? "0" : "1");
        _guest.Store.Write($"{_frontend}/protocol", BlkifProtocols.NameOf(Protocol));
        Announce(XenbusState.Connected);
        return Await(XenbusState.Connected, stop);
    }

    private void Move()
    {
        switch (_random.Next(64))
        {
            case 0: // any bytes anywhere behind the indices, and once in a while over them
                int from = _random.Next(2000) == 0 ? 0 : 64;
                _random.NextBytes(new Span<byte>(_ring + _random.Next(from, _ringLength - 64), _random.Next(1, 64)));
                break;
            case 1: // the indices that are hints, to anything
                ((uint*)_ring)[_random.Next(2) == 0 ? 1 : 3] += (uint)_random.Next(-3, 40);
                break;
            case 2:
                _channel!.Notify();
                break;
            case 3 when _random.Next(2000) == 0: // an index that no frontend can have reached, or one taken back
                *(uint*)_ring += (uint)_random.Next(-600, 600);
                break;
            case < 8: // any bytes in a slot
                _random.NextBytes(new Span<byte>(Slot(_random.Next()), _stride));
                break;
            case < 32: // a request that is almost right
                WriteRequest(Slot(_random.Next()));
                break;
            case < 38: // an indirect one
                WriteIndirect(Slot(_random.Next()));
                break;
            case < 40: // segments, in any of the pages that some request may name for them, while it is read
                WriteSegments((byte*)_guest.AddressOf(_data + _random.Next(SegmentPages)) + (_random.Next(8) * 256), 32, wildness: 200);
                break;
            default: // and on with the work, as far as there is room
                uint asked = *(uint*)_ring + (uint)_random.Next(4);
                if (asked - ((uint*)_ring)[2] <= _slots)
                    Volatile.Write(ref *(uint*)_ring, asked);
                break;
        }
    }

    private byte* Slot(int index) => _ring + 64 + ((uint)index % _slots * _stride);

    // Written in place, field by field, while the backend may be reading it.
    private void WriteRequest(byte* slot)
    {
        int segments = Protocol == BlkifProtocol.X64 ? 24 : 20;
        slot[0] = (byte)_random.Next(8);
        slot[1] = (byte)(_random.Next(4) == 0 ? _random.Next(13) : _random.Next(1, 3));
        *(ulong*)(slot + segments - 8) = AnySector();
        WriteSegments(slot + segments, 11, wildness: 8);
    }

    private void WriteIndirect(byte* slot)
    {
        int handle = Protocol == BlkifProtocol.X64 ? 24 : 20;
        slot[0] = 6;
        slot[1] = (byte)(_random.Next(8) == 0 ? _random.Next(256) : _random.Next(2));
        *(ushort*)(slot + 2) = (ushort)(_random.Next(8) == 0 ? _random.Next(65536) : _random.Next(_random.Next(4) == 0 ? 257 : 20));
        *(ulong*)(slot + handle - 8) = AnySector();
        for (int i = 0; i < 8; i++)
            ((uint*)(slot + handle + 4))[i] = _random.Next(8) == 0 ? (uint)_random.Next(300) : _known[_random.Next(SegmentPages)].Value;
    }

    private ulong AnySector() => _random.Next(8) == 0 ? (ulong)_random.NextInt64() << _random.Next(8) : (ulong)_random.Next(2100);

    // One part in so many is anything at all.
    private void WriteSegments(byte* first, int count, int wildness)
    {
        for (int i = 0; i < count; i++)
        {
            byte* segment = first + (i * 8);
            int known = _random.Next(wildness) == 0 ? _known.Count : GrantedPages;
            *(uint*)segment = _random.Next(wildness) == 0 ? (uint)_random.Next(300) : _known[_random.Next(known)].Value;
            segment[4] = (byte)_random.Next(4);
            segment[5] = (byte)(_random.Next(wildness) == 0 ? _random.Next(256) : _random.Next(3, 8));
        }
    }

    private void Announce(XenbusState state) => _guest.Store.Write($"{_frontend}/state", Number((int)state));

    private bool Await(XenbusState wanted, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            XenbusState state = BackendState;
            if (state == wanted)
                return true;
            if (wanted == XenbusState.Connected && state is XenbusState.Closing or XenbusState.Closed)
                return false;
            Thread.Yield();
        }

        return false;
    }

    private static string Number(long value) => value.ToString(CultureInfo.InvariantCulture);
}
