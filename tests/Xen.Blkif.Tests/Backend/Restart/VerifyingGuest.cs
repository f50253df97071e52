using Xen.Blkif.Testing;

namespace Xen.Blkif.Tests.Backend.Restart;

/// <summary>
/// A guest that writes, reads and compares without an end, and takes an error or a wrong byte for what it is: one program for each of its
/// queues, which has a part of the disk for itself.
/// </summary>
internal sealed class VerifyingGuest
{
    private const int Sector = 512;

    private readonly Task[] _working;
    private readonly int[] _rounds;
    private volatile bool _stop;

    public VerifyingGuest(BlkifFrontend frontend)
    {
        int part = (int)frontend.Length / frontend.Disks.Count / Sector * Sector;
        _rounds = new int[frontend.Disks.Count];
        _working = frontend.Disks.Select((disk, i) =>
            Task.Factory.StartNew(() => Work(disk, i, part), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)).ToArray();
    }

    /// <summary>Rounds of a write, a read and a comparison that every program has done.</summary>
    public int Rounds => _rounds.Min();

    /// <summary>Whether something went wrong; <see cref="StopAsync"/> says what.</summary>
    public bool HasFailed => _working.Any(program => program.IsFaulted);

    /// <summary>Reads all of the disk once more, and ends.</summary>
    public Task StopAsync()
    {
        _stop = true;
        return Task.WhenAll(_working);
    }

    private void Work(FrontendDisk disk, int i, int part)
    {
        var random = new Random(7 + i);
        byte[] model = new byte[part];
        byte[] read = new byte[part];
        while (!_stop)
        {
            (int offset, int length) = Range(random, part);
            random.NextBytes(model.AsSpan(offset, length));
            disk.Write(((long)i * part) + offset, model.AsSpan(offset, length));
            if (_rounds[i] % 8 == 0)
                disk.Flush();
            (offset, length) = Range(random, part);
            Compare(offset, length);
            Interlocked.Increment(ref _rounds[i]);
        }

        Compare(0, part);

        void Compare(int offset, int length)
        {
            disk.Read(((long)i * part) + offset, read.AsSpan(0, length));
            if (!read.AsSpan(0, length).SequenceEqual(model.AsSpan(offset, length)))
                throw new InvalidDataException($"{length} bytes at {offset} of queue {i} are not what was written.");
        }
    }

    private static (int Offset, int Length) Range(Random random, int part)
    {
        int first = random.Next(part / Sector);
        return (first * Sector, Math.Min(random.Next(1, 2048), (part / Sector) - first) * Sector);
    }
}
