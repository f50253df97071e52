using Xen.Blkif.Targets;

namespace Xen.Blkif.IoUring.Tests;

/// <summary>What the tests need of this system: no tool that could be installed, so that they are ignored without it.</summary>
internal static class Ring
{
    /// <summary>Ends the test where there is no io_uring.</summary>
    public static void Require()
    {
        if (!IoUringSupport.IsThere(out string refusal))
            Assert.Ignore($"ignored: {refusal}");
    }

    /// <summary>Opens an image. Ends the test where this system cannot.</summary>
    public static IoUringTarget Open(string path, FileTargetOptions options)
    {
        Require();
        try
        {
            return IoUringTarget.Open(path, options);
        }
        catch (TargetException e) when (e.Message.Contains("past the page cache", StringComparison.Ordinal))
        {
            Assert.Ignore($"ignored: the temporary folder's file system has no direct I/O ({e.Message})");
            throw;
        }
    }
}
