using System.IO.MemoryMappedFiles;
using System.Text;
using Xen.Blkif.Engine;
using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.Backend;

/// <summary>
/// The file of a device that a process serves. Its lock says that the process lives; its content, which outlives the process in the page
/// cache, says which ring the device has and what is owed there. A file without a lock is that of a process that was killed.
/// </summary>
/// <remarks>Used by the device's own flow alone; the <see cref="Journal"/> is for the engine's thread.</remarks>
internal sealed unsafe class JournalFile
{
    // EWOULDBLOCK, and what Windows says.
    private const int WouldBlock = 11;
    private const int SharingViolation = unchecked((int)0x8007_0020);

    private readonly string _path;
    private readonly FileStream _file;
    private readonly MemoryMappedFile _map;
    private readonly MemoryMappedViewAccessor _view;
    private readonly byte* _header;

    private JournalFile(string path, FileStream file)
    {
        _path = path;
        _file = file;

        // Written, not only made longer: a store into a page that the file system has no room for would end the process.
        const int Length = XenPage.Size + RingJournal.Length;
        WasLeft = file.Length == Length;
        if (!WasLeft)
        {
            file.Write(new byte[Length], 0, Length);
            file.Flush();
        }

        _map = MemoryMappedFile.CreateFromFile(file, null, Length, MemoryMappedFileAccess.ReadWrite, HandleInheritability.None, leaveOpen: true);
        _view = _map.CreateViewAccessor(0, Length);
        _view.SafeMemoryMappedViewHandle.AcquirePointer(ref _header);
        Journal = new RingJournal((nint)(_header + XenPage.Size));
    }

    /// <summary>Whether a process that was killed has left the file behind.</summary>
    public bool WasLeft { get; }

    /// <summary>What is owed in the ring.</summary>
    public RingJournal Journal { get; }

    // SAFETY: the view has a page in front of the records, and lives until Close.
    private Span<byte> Header => new(_header, XenPage.Size);

    /// <summary>Opens a device's file, making it where it is missing.</summary>
    /// <param name="path">The file, in a folder that exists.</param>
    /// <returns>Null where a process that lives has it open.</returns>
    /// <exception cref="IOException">It cannot be opened or made.</exception>
    public static JournalFile? TryOpen(string path)
    {
        while (true)
        {
            FileStream file;
            try
            {
                file = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException e) when (e.HResult is WouldBlock or SharingViolation)
            {
                return null;
            }

            // Who had it open before may have removed it just before it let go of the lock.
            if (File.Exists(path))
                return new JournalFile(path, file);
            file.Dispose();
        }
    }

    /// <summary>Whether what is noted is about the ring that a frontend has.</summary>
    public bool IsAbout(FrontendKeys ring)
    {
        byte[] name = NameOf(ring);
        return Header.Slice(0, name.Length).SequenceEqual(name);
    }

    /// <summary>Begins with a ring in which nothing was taken yet.</summary>
    public void Begin(FrontendKeys ring)
    {
        // In this order, whenever the process is killed: no ring is named together with the records of another one.
        Forget();
        Interlocked.MemoryBarrier();
        Journal.Clear();
        Interlocked.MemoryBarrier();
        NameOf(ring).CopyTo(Header);
    }

    /// <summary>Says that the device has no ring.</summary>
    public void Forget() => Header.Clear();

    /// <summary>Lets go of the file. No engine uses the journal any more.</summary>
    /// <param name="hasEnded">Whether the device has ended, so that there is nothing to go on with.</param>
    public void Close(bool hasEnded)
    {
        _view.SafeMemoryMappedViewHandle.ReleasePointer();
        _view.Dispose();
        _map.Dispose();
        if (hasEnded)
            File.Delete(_path);
        _file.Dispose();
    }

    // With the zero behind it: no name is the start of another one.
    private static byte[] NameOf(FrontendKeys ring) =>
        Encoding.ASCII.GetBytes($"Xen.Blkif journal 1: {ring.Protocol}, port {ring.EventChannel}, pages {string.Join(" ", ring.Ring)}\0");
}
