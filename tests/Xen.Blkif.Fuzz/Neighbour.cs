using Xen.Blkif.Backend;
using Xen.Blkif.Targets;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Fuzz;

/// <summary>An honest guest beside the hostile one, in the same process: it writes, reads back and compares, all the while.</summary>
internal sealed class Neighbour : IAsyncDisposable
{
    private const int Length = 1 << 20;
    private const int Block = 20 * 4096; // indirect requests too

    private readonly Findings _findings;
    private readonly MemoryTarget _disk = new(Length);
    private readonly SimulatedGuest _guest;
    private readonly SimulatedXen _xen;
    private readonly int _seed;
    private readonly Thread _thread;
    private BlockBackend? _backend;
    private BlkifFrontend? _frontend;
    private volatile bool _stop;
    private long _rounds;

    public Neighbour(SimulatedXen xen, int id, int seed, Findings findings)
    {
        _xen = xen;
        _seed = seed;
        _findings = findings;
        _guest = xen.CreateGuest(id, 256);
        _thread = new Thread(Work) { IsBackground = true, Name = "neighbour" };
    }

    public async Task StartAsync()
    {
        _backend = await BlockBackend.AttachAsync(_xen, _guest.Id, "xvda", _disk);
        _frontend = await BlkifFrontend.ConnectAsync(_guest, "xvda", new FrontendOptions { Depth = 4, Timeout = TimeSpan.FromMinutes(10) });
        _thread.Start();
    }

    public async ValueTask DisposeAsync()
    {
        // Whatever has happened until now, it goes on working.
        long rounds = Volatile.Read(ref _rounds);
        bool works = Patience.Until(() => Volatile.Read(ref _rounds) >= rounds + 2 || !_thread.IsAlive);
        _stop = true;
        _findings.Check(works && Patience.Until(() => !_thread.IsAlive), "the neighbour's requests are not answered any more");
        if (_thread.IsAlive)
            return;

        await _frontend!.DisposeAsync();
        await _backend!.DisposeAsync();
        await _disk.DisposeAsync();
        _findings.Check(_guest.GrantedPages == 0, "the neighbour has pages granted after its end");
    }

    private void Work()
    {
        var random = new Random(_seed);
        byte[] written = new byte[Block];
        byte[] read = new byte[Block];
        try
        {
            while (!_stop)
            {
                long offset = random.Next((Length - Block) / 512) * 512L;
                random.NextBytes(written);
                _frontend!.Disk.Write(offset, written);
                _frontend.Disk.Read(offset, read);
                _findings.Check(read.AsSpan().SequenceEqual(written), "the neighbour read back something else than it wrote");
                Volatile.Write(ref _rounds, _rounds + 1);

                // The hostile guest is to have its share of the processors.
                Thread.Sleep(1);
            }
        }
#pragma warning disable CA1031 // whatever it is, it is a finding and not the end of the process
        catch (Exception e)
#pragma warning restore CA1031
        {
            _findings.Add($"the neighbour was harmed: {e.GetType().Name}: {e.Message}");
        }
    }
}
