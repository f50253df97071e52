using System.Diagnostics;
using System.Security.Cryptography;

namespace Xen.Blkif.Samples.Loopback;

/// <summary>Moves whole files through the ring.</summary>
internal sealed class Transfer(Session session, string protocol, IProgress<double> progress)
{
    private const int ChunkLength = 4 << 20;

    private readonly byte[] _chunk = new byte[ChunkLength];

    /// <summary>Writes a file to the start of the disk. What the disk holds behind it stays.</summary>
    public Measurement Import(string path) => Measurement.Take(session, protocol, "import", s => s.Writes, clock =>
    {
        using FileStream file = File.OpenRead(path);
        long length = file.Length;
        for (long offset = 0; offset < length;)
        {
            int read = file.ReadAtLeast(_chunk.AsSpan(0, (int)Math.Min(ChunkLength, length - offset)), 1);
            Span<byte> chunk = Whole(offset, read);
            clock.Start();
            session.Frontend.Disk.Write(offset, chunk);
            clock.Stop();
            offset += read;
            progress.Report((double)offset / length);
        }

        clock.Start();
        session.Frontend.Disk.Flush();
        clock.Stop();
        return null;
    });

    /// <summary>Writes the whole disk to a file, which, where it is new, appears under its name when it is complete.</summary>
    public Measurement Export(string path) => Measurement.Take(session, protocol, "export", s => s.Reads, clock =>
    {
        // What is there already is written to, not replaced: it may be a device, or a link to one.
        if (File.Exists(path))
        {
            using FileStream existing = new(path, FileMode.Create, FileAccess.Write, FileShare.None);
            ReadAll(clock, chunk => existing.Write(chunk));
            return null;
        }

        string partial = $"{path}.{Guid.NewGuid():N}.partial";
        using FileStream file = new(partial, FileMode.CreateNew, FileAccess.Write, FileShare.None);
        try
        {
            ReadAll(clock, chunk => file.Write(chunk));
            file.Close();
            File.Move(partial, path);
        }
        catch
        {
            File.Delete(partial);
            throw;
        }

        return null;
    });

    /// <summary>Reads the whole disk and compares it with the image that it is served from.</summary>
    public Measurement Verify(string path) => Measurement.Take(session, protocol, "read", s => s.Reads, clock =>
    {
        using var through = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        using var direct = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        using FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        byte[] own = new byte[ChunkLength];
        ReadAll(clock, chunk =>
        {
            file.ReadExactly(own, 0, chunk.Length);
            direct.AppendData(own, 0, chunk.Length);
            through.AppendData(chunk);
        });
        return through.GetHashAndReset().AsSpan().SequenceEqual(direct.GetHashAndReset());
    });

    private void ReadAll(Stopwatch clock, Action<ReadOnlySpan<byte>> take)
    {
        long length = session.Frontend.Length;
        for (long offset = 0; offset < length;)
        {
            Span<byte> chunk = _chunk.AsSpan(0, (int)Math.Min(ChunkLength, length - offset));
            clock.Start();
            session.Frontend.Disk.Read(offset, chunk);
            clock.Stop();
            take(chunk);
            offset += chunk.Length;
            progress.Report((double)offset / length);
        }
    }

    // A file that ends inside a sector keeps the rest of that sector as it is on the disk.
    private Span<byte> Whole(long offset, int length)
    {
        int sector = session.Frontend.SectorSize;
        int end = (length + sector - 1) / sector * sector;
        if (end != length)
        {
            byte[] last = new byte[sector];
            session.Frontend.Disk.Read(offset + end - sector, last);
            last.AsSpan(length % sector).CopyTo(_chunk.AsSpan(length));
        }

        return _chunk.AsSpan(0, end);
    }
}
