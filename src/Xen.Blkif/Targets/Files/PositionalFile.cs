using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Xen.Blkif.Targets.Files;

/// <summary>An open image: reads and writes at a position, from any number of threads at once, without allocating.</summary>
internal sealed partial class PositionalFile : IDisposable
{
    private readonly SafeFileHandle _handle;
#if NETSTANDARD
    private readonly FileStream _stream;
#endif

    public PositionalFile(string path, bool readOnly)
    {
        FileAccess access = readOnly ? FileAccess.Read : FileAccess.ReadWrite;

        // An advisory lock, as QEMU has one: two programs that write to one image destroy it.
        FileShare share = readOnly ? FileShare.Read : FileShare.None;
#if NETSTANDARD
        _stream = new FileStream(path, FileMode.Open, access, share, bufferSize: 1);
        _handle = _stream.SafeFileHandle;
#else
        _handle = File.OpenHandle(path, FileMode.Open, access, share, FileOptions.RandomAccess);
#endif
        Device = BlockDevice.Of(_handle);
    }

    /// <summary>The descriptor.</summary>
    public SafeHandle Handle => _handle;

    /// <summary>Whether it is read and written past the page cache.</summary>
    public bool IsDirect { get; private set; }

    /// <summary>What it is where it is a block device, else null.</summary>
    public BlockDevice? Device { get; }

    /// <summary>The size in bytes, of a block device too.</summary>
    public long Length =>
        RuntimeInformation.IsOSPlatform(OSPlatform.Linux) ? LibC.Seek(_handle, 0, LibC.SeekEnd) :
#if NETSTANDARD
        _stream.Length;
#else
        RandomAccess.GetLength(_handle);
#endif

    /// <summary>Fills the buffer.</summary>
    /// <exception cref="IOException">The storage failed, or the file ended early.</exception>
    public void Read(Span<byte> buffer, long offset)
    {
        while (buffer.Length > 0)
        {
            int done = ReadSome(buffer, offset);
            if (done == 0)
                throw new EndOfStreamException($"The file ends before byte {offset}: it was cut short after it was opened.");
            buffer = buffer.Slice(done);
            offset += done;
        }
    }

    /// <summary>Gives a range back to the device or the file system.</summary>
    /// <param name="offset">The first byte.</param>
    /// <param name="length">Bytes.</param>
    /// <param name="erase">Whether the data is to be unrecoverable, which only devices can do.</param>
    /// <returns>False where it cannot, and nothing was done.</returns>
    /// <exception cref="IOException">The storage failed.</exception>
    public bool TryDiscard(long offset, long length, bool erase) =>
        Device is null ? !erase && TryPunchHole(offset, length) : Device.TryDiscard(offset, length, erase);

    /// <summary>Gives a range back to the file system.</summary>
    /// <returns>False where the file system cannot, and nothing was done.</returns>
    /// <exception cref="IOException">The storage failed.</exception>
    public bool TryPunchHole(long offset, long length)
    {
        while (LibC.Fallocate(_handle, LibC.PunchHole, offset, length) != 0)
        {
            const int NotSupported = 95, NoSystemCall = 38, NoDevice = 19;
            int error = Marshal.GetLastWin32Error();
            if (error == LibC.Interrupted)
                continue;
            if (error is NotSupported or NoSystemCall or NoDevice)
                return false;
            throw new IOException($"fallocate failed with error {error} at byte {offset}.");
        }

        return true;
    }

    /// <summary>Brings what was written to stable storage.</summary>
    /// <exception cref="IOException">The storage failed.</exception>
    public void Sync()
    {
#if !NETSTANDARD
        if (!RuntimeInformation.IsOSPlatform(OSPlatform.Linux))
        {
            RandomAccess.FlushToDisk(_handle);
            return;
        }
#endif

        // Not FlushToDisk: on Linux it keeps quiet about an fsync that failed, and the guest would take lost writes for safe.
        while (LibC.Sync(_handle) != 0)
        {
            int error = Marshal.GetLastWin32Error();
            if (error != LibC.Interrupted)
                throw new IOException($"fsync failed with error {error}.");
        }
    }

#if NETSTANDARD
    /// <summary>Writes the whole buffer.</summary>
    /// <exception cref="IOException">The storage failed or is full.</exception>
    public unsafe void Write(ReadOnlySpan<byte> buffer, long offset)
    {
        while (buffer.Length > 0)
        {
            nint done;
            fixed (byte* start = buffer)
                done = LibC.Write(_handle, start, buffer.Length, offset);
            if (done < 0 && Marshal.GetLastWin32Error() != LibC.Interrupted)
                throw new IOException($"pwrite failed with error {Marshal.GetLastWin32Error()} at byte {offset}.");
            if (done == 0)
                throw new IOException($"pwrite wrote nothing at byte {offset}.");
            buffer = buffer.Slice((int)Math.Max(done, 0));
            offset += Math.Max(done, 0);
        }
    }

    public void Dispose() => _stream.Dispose();

    private unsafe int ReadSome(Span<byte> buffer, long offset)
    {
        while (true)
        {
            nint done;
            fixed (byte* start = buffer)
                done = LibC.Read(_handle, start, buffer.Length, offset);
            if (done >= 0)
                return (int)done;
            if (Marshal.GetLastWin32Error() != LibC.Interrupted)
                throw new IOException($"pread failed with error {Marshal.GetLastWin32Error()} at byte {offset}.");
        }
    }
#else
    /// <summary>Writes the whole buffer.</summary>
    /// <exception cref="IOException">The storage failed or is full.</exception>
    public void Write(ReadOnlySpan<byte> buffer, long offset) => RandomAccess.Write(_handle, buffer, offset);

    public void Dispose() => _handle.Dispose();

    private int ReadSome(Span<byte> buffer, long offset) => RandomAccess.Read(_handle, buffer, offset);
#endif
}
