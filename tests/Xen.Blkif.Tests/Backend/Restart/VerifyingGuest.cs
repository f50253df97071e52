using Xen.Blkif.Testing;

namespace Xen.Blkif.Tests.Backend.Restart;

/// <summary>A guest that writes, reads and compares without an end, and takes an error or a wrong byte for what it is.</summary>
internal sealed class VerifyingGuest
{
    private const int Sector = 512;

    private readonly BlkifFrontend _frontend;
    private readonly byte[] _model;
    private readonly Task _working;
    private volatile bool _stop;
    private int _rounds;

    public VerifyingGuest(BlkifFrontend frontend)
    {
        _frontend = frontend;
        _model = new byte[frontend.Length];
        _working = Task.Factory.StartNew(Work, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
    }

    /// <summary>Rounds of a write, a read and a comparison.</summary>
    public int Rounds => Volatile.Read(ref _rounds);

    /// <summary>Whether something went wrong; <see cref="StopAsync"/> says what.</summary>
    public bool HasFailed => _working.IsFaulted;

    /// <summary>Reads all of the disk once more, and ends.</summary>
    public Task StopAsync()
    {
        _stop = true;
        return _working;
    }

    private void Work()
    {
        var random = new Random(7);
        byte[] read = new byte[_model.Length];
        while (!_stop)
        {
            (int offset, int length) = Range(random);
            random.NextBytes(_model.AsSpan(offset, length));
            _frontend.Disk.Write(offset, _model.AsSpan(offset, length));
            if (_rounds % 8 == 0)
                _frontend.Disk.Flush();
            (offset, length) = Range(random);
            Compare(offset, read.AsSpan(0, length));
            Interlocked.Increment(ref _rounds);
        }

        Compare(0, read);
    }

    private (int Offset, int Length) Range(Random random)
    {
        int first = random.Next(_model.Length / Sector);
        return (first * Sector, Math.Min(random.Next(1, 2048), (_model.Length / Sector) - first) * Sector);
    }

    private void Compare(int offset, Span<byte> read)
    {
        _frontend.Disk.Read(offset, read);
        if (!read.SequenceEqual(_model.AsSpan(offset, read.Length)))
            throw new InvalidDataException($"{read.Length} bytes at {offset} are not what was written.");
    }
}
