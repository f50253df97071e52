using System.Diagnostics;
using System.Security.Cryptography;
using Xen.Blkif.Engine;

namespace Xen.Blkif.Samples.Loopback;

/// <summary>Writes a disk full, flushes it, discards a quarter, reads all of it back and compares checksums.</summary>
internal sealed class SelfCheck(Session session, string protocol, TargetKind target, IProgress<double> progress)
{
    private const int ChunkLength = 1 << 20;

    private readonly byte[] _chunk = new byte[ChunkLength];
    private readonly long _length = session.Frontend.Length;

    public IEnumerable<Measurement> Run(int seed)
    {
        byte[] expected = [];
        yield return Measure("write", s => s.Writes, clock =>
        {
            expected = WriteAll(seed, clock);
            return null;
        });

        yield return Measure("flush", s => s.Flushes, clock =>
        {
            clock.Start();
            session.Frontend.Disk.Flush();
            clock.Stop();
            return null;
        });

        if (session.Frontend.HasDiscard && DiscardEnd > DiscardStart)
        {
            yield return Measure("discard", s => s.Discards, clock =>
            {
                clock.Start();
                session.Frontend.Disk.Discard(DiscardStart, DiscardEnd - DiscardStart);
                clock.Stop();
                return null;
            });
        }

        yield return Measure("read", s => s.Reads, clock => ReadAll(clock).AsSpan().SequenceEqual(expected));
    }

    // The second quarter, at multiples of what file systems give back.
    private long DiscardStart => _length / 4 / 4096 * 4096;

    private long DiscardEnd => _length / 2 / 4096 * 4096;

    private Measurement Measure(string operation, Func<QueueStatistics, OperationStatistics> of, Func<Stopwatch, bool?> step) =>
        Measurement.Take(session, protocol, operation, of, step);

    /// <summary>Fills the disk.</summary>
    /// <returns>The checksum of what it must hold after the discard.</returns>
    private byte[] WriteAll(int seed, Stopwatch clock)
    {
        var random = new Random(seed);
        using var checksum = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        for (long offset = 0; offset < _length;)
        {
            Span<byte> chunk = _chunk.AsSpan(0, (int)Math.Min(ChunkLength, _length - offset));
            random.NextBytes(chunk);
            clock.Start();
            session.Frontend.Disk.Write(offset, chunk);
            clock.Stop();
            ForgetDiscarded(chunk, offset);
            checksum.AppendData(chunk);
            offset += chunk.Length;
            progress.Report(0.5 * offset / _length);
        }

        return checksum.GetHashAndReset();
    }

    private byte[] ReadAll(Stopwatch clock)
    {
        using var checksum = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        for (long offset = 0; offset < _length;)
        {
            Span<byte> chunk = _chunk.AsSpan(0, (int)Math.Min(ChunkLength, _length - offset));
            clock.Start();
            session.Frontend.Disk.Read(offset, chunk);
            clock.Stop();
            checksum.AppendData(chunk);
            offset += chunk.Length;
            progress.Report(0.5 + (0.5 * offset / _length));
        }

        return checksum.GetHashAndReset();
    }

    // What is discarded reads as zeros from every target of this program, and from the null target all does.
    private void ForgetDiscarded(Span<byte> chunk, long offset)
    {
        long from = target == TargetKind.Null ? 0 : session.Frontend.HasDiscard ? DiscardStart : 0;
        long to = target == TargetKind.Null ? _length : session.Frontend.HasDiscard ? DiscardEnd : 0;
        int start = (int)Math.Clamp(from - offset, 0, chunk.Length);
        int end = (int)Math.Clamp(to - offset, 0, chunk.Length);
        if (end > start)
            chunk[start..end].Clear();
    }
}
