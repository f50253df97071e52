using System.Diagnostics;
using System.IO.MemoryMappedFiles;
using System.Text;
using Xen.Blkif.Engine;
using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.Backend;

/// <summary>
/// The file of a device that a process serves. Its lock says that the process lives; its content, which outlives the process in the page
/// cache, says which rings the device has and what is owed there. A file without a lock is that of a process that was killed.
/// </summary>
/// <remarks>
/// A page that names the rings, then the records of one queue after the other, for as many as the device had at once so far. Used by the
/// device's own flow alone; what <see cref="JournalOf"/> gives is for the engine's thread.
/// </remarks>
internal sealed unsafe class JournalFile
{
    // EWOULDBLOCK, and what Windows says.
    private const int WouldBlock = 11;
    private const int SharingViolation = unchecked((int)0x8007_0020);

    private readonly string _path;
    private readonly FileStream _file;
    private MemoryMappedFile? _map;
    private MemoryMappedViewAccessor? _view;
    private byte* _header;
    private int _queues;

    private JournalFile(string path, FileStream file)
    {
        _path = path;
        _file = file;

        // What is behind the last whole one was being made when the process was killed. Nothing names it.
        int queues = (int)Math.Max(0, (file.Length - XenPage.Size) / RingJournal.Length);
        WasLeft = queues > 0;
        if (!WasLeft)
            MakeRoom(0, queues = 1);
        Map(queues);
    }

    /// <summary>Whether a process that was killed has left the file behind.</summary>
    public bool WasLeft { get; }

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

            try
            {
                // Who had it open before may have removed it just before it let go of the lock.
                if (File.Exists(path))
                    return new JournalFile(path, file);
            }
            catch
            {
                file.Dispose();
                throw;
            }

            file.Dispose();
        }
    }

    /// <summary>Whether what is noted is about the rings that a frontend has.</summary>
    public bool IsAbout(FrontendKeys keys)
    {
        byte[] name = NameOf(keys);
        return Header.Slice(0, name.Length).SequenceEqual(name);
    }

    /// <summary>What is owed in the ring of a queue of the frontend that the file is about. Of no use any more when it begins with another.</summary>
    public RingJournal JournalOf(int queue)
    {
        Debug.Assert(queue < _queues, "There is room for the queues of the frontend that the file is about.");
        return new RingJournal((nint)_header + (nint)LengthOf(queue));
    }

    /// <summary>Begins with rings in which nothing was taken yet.</summary>
    /// <exception cref="IOException">There is no room for so many.</exception>
    public void Begin(FrontendKeys keys)
    {
        // In this order, whenever the process is killed: no ring is named together with the records of another one.
        Forget();
        Interlocked.MemoryBarrier();
        if (keys.Queues.Count > _queues)
        {
            MakeRoom(LengthOf(_queues), keys.Queues.Count);
            Map(keys.Queues.Count);
        }

        for (int queue = 0; queue < keys.Queues.Count; queue++)
            JournalOf(queue).Clear();
        Interlocked.MemoryBarrier();
        NameOf(keys).CopyTo(Header);
    }

    /// <summary>Says that the device has no ring.</summary>
    public void Forget() => Header.Clear();

    /// <summary>Lets go of the file. No engine uses the journal any more.</summary>
    /// <param name="hasEnded">Whether the device has ended, so that there is nothing to go on with.</param>
    public void Close(bool hasEnded)
    {
        Unmap();
        if (hasEnded)
            File.Delete(_path);
        _file.Dispose();
    }

    // The offset of a queue's records too.
    private static long LengthOf(int queues) => XenPage.Size + ((long)queues * RingJournal.Length);

    private void MakeRoom(long from, int queues)
    {
        // Written, not only made longer: a store into a page that the file system has no room for would end the process.
        byte[] zeros = new byte[LengthOf(queues) - from];
        _file.Position = from;
        _file.Write(zeros, 0, zeros.Length);
        _file.Flush();
    }

    private void Map(int queues)
    {
        byte* header = null;
        MemoryMappedFile map = MemoryMappedFile.CreateFromFile(_file, null, 0, MemoryMappedFileAccess.ReadWrite, HandleInheritability.None, leaveOpen: true);
        MemoryMappedViewAccessor view = map.CreateViewAccessor(0, LengthOf(queues));
        view.SafeMemoryMappedViewHandle.AcquirePointer(ref header);

        // The old one goes when the new one is there: what fails here leaves a file that is still of use.
        Unmap();
        _map = map;
        _view = view;
        _header = header;
        _queues = queues;
    }

    private void Unmap()
    {
        _view?.SafeMemoryMappedViewHandle.ReleasePointer();
        _view?.Dispose();
        _map?.Dispose();
    }

    // With the zero behind it: no name is the start of another one. The longest fits into the page.
    private static byte[] NameOf(FrontendKeys keys) => Encoding.ASCII.GetBytes(
        $"Xen.Blkif journal 1: {keys.Protocol}{string.Concat(keys.Queues.Select(queue => $", port {queue.EventChannel}, pages {string.Join(" ", queue.Ring)}"))}\0");
}
