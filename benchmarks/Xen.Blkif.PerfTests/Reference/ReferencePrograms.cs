namespace Xen.Blkif.PerfTests.Reference;

/// <summary>The programs of <c>benchmarks/reference</c>, compiled for as long as they are needed.</summary>
internal sealed class ReferencePrograms : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("xen-blkif-perf-").FullName;

    /// <exception cref="UserException">There is no compiler, or Xen's headers are not installed.</exception>
    public ReferencePrograms()
    {
        try
        {
            CCompiler.MakeProgram(["loadgen.c", "loadgen_blkif.c", "loadgen_vhost.c"], LoadGenerator);
            CCompiler.MakeProgram(["idlespin.c"], IdleSpinner);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public string LoadGenerator => PathOf("loadgen");

    public string IdleSpinner => PathOf("idlespin");

    /// <summary>The path of a file that goes with the programs.</summary>
    public string PathOf(string name) => Path.Combine(_folder, name);

    public void Dispose() => Directory.Delete(_folder, recursive: true);
}
