using System.Buffers.Binary;
using System.ComponentModel;
using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;
using Xen.Blkif.Protocol;

namespace Xen.Blkif.Tests.Reference;

/// <summary>What a C compiler makes of Xen's own headers, to compare this library with. Compiled once in a test run, when first asked for.</summary>
internal static class XenReference
{
    private const string NoCompiler = "gcc is not installed (Debian: apt-get install gcc)";
    private const string NoHeaders = "Xen's headers are not installed (Debian: apt-get install libxen-dev)";
    private const string No32Bit = "gcc does not compile for 32-bit x86 here";

    // -ffreestanding and -nostdlib: neither layout needs the headers or the start files of a C library.
    private const string Flags = "-std=gnu11 -Wall -Wextra -Werror -ffreestanding";

    private static readonly Lazy<Compiled> Result = new(Compile);

    /// <summary>The layout table of one ABI. Ends the test where it cannot be had.</summary>
    public static IReadOnlyDictionary<string, LayoutRow> Layout(BlkifProtocol protocol)
    {
        Require(Result.Value.Missing);
        if (protocol != BlkifProtocol.X86)
            return Result.Value.Layout64;

        Require(Result.Value.Layout32 is null ? No32Bit : null);
        return Result.Value.Layout32!;
    }

    /// <summary>The C rings of one ABI. Ends the test where they cannot be had.</summary>
    public static ReferenceRings Rings(BlkifProtocol protocol)
    {
        Require(Result.Value.Missing);
        return protocol == BlkifProtocol.X86 ? Result.Value.Rings32 : Result.Value.Rings64;
    }

    private static void Require(string? missing)
    {
        if (missing != null)
            Requirement.IsMissing(missing);
    }

    private static Compiled Compile()
    {
        if (Gcc("--version", out _) == null)
            return new Compiled { Missing = NoCompiler };

        string folder = Directory.CreateTempSubdirectory("xen-blkif-reference-").FullName;
        try
        {
            string probe = Path.Combine(folder, "probe.c");
            File.WriteAllText(probe, "#include <stdint.h>\n#include <stddef.h>\n#include <xen/io/blkif.h>\n");
            if (Gcc($"-ffreestanding -fsyntax-only \"{probe}\"", out _) != 0)
                return new Compiled { Missing = NoHeaders };

            // A loaded library stays when its file goes, so that the folder can be removed at once.
            return new Compiled
            {
                Layout64 = CompileLayout(folder, "64", ""),
                Layout32 = CompilesFor32Bit(folder) ? CompileLayout(folder, "32", "-m32") : null,
                Rings64 = new ReferenceRings(CompileRings(folder, "64", "")),
                Rings32 = new ReferenceRings(CompileRings(folder, "32", "-DLAYOUT_X86_32")),
            };
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static bool CompilesFor32Bit(string folder)
    {
        string probe = Path.Combine(folder, "probe32.c");
        File.WriteAllText(probe, "int probe;\n");
        return Gcc($"-m32 -ffreestanding -c \"{probe}\" -o \"{probe}.o\"", out _) == 0;
    }

    private static Dictionary<string, LayoutRow> CompileLayout(string folder, string name, string flags)
    {
        string output = Path.Combine(folder, $"layout{name}");
        GccOrThrow($"{Flags} {flags} -c \"{Source("layout.c")}\" -o \"{output}.o\"");

        // objcopy comes with the assembler that gcc itself needs (binutils).
        if (Run("objcopy", $"-O binary -j .layout \"{output}.o\" \"{output}\"", out string error) != 0)
            throw new InvalidOperationException($"objcopy failed: {error}");
        return LayoutRow.ReadTable(File.ReadAllBytes(output)).ToDictionary(row => row.Name, StringComparer.Ordinal);
    }

    private static nint CompileRings(string folder, string name, string flags)
    {
        string output = Path.Combine(folder, $"ring{name}.so");
        GccOrThrow($"{Flags} {flags} -O2 -fPIC -fvisibility=hidden -shared -nostdlib \"{Source("ring.c")}\" -o \"{output}\"");
        return NativeLibrary.Load(output);
    }

    private static string Source(string name) => Path.Combine(AppContext.BaseDirectory, "Reference", name);

    private static void GccOrThrow(string arguments)
    {
        if (Gcc(arguments, out string error) != 0)
            throw new InvalidOperationException($"gcc {arguments} failed:\n{error}");
    }

    private static int? Gcc(string arguments, out string error) => Run("gcc", arguments, out error);

    // The exit code, or null where there is no such program.
    private static int? Run(string program, string arguments, out string error)
    {
        error = "";
        try
        {
            using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true, RedirectStandardOutput = true })!;
            Task<string> output = process.StandardOutput.ReadToEndAsync();
            error = process.StandardError.ReadToEnd();
            output.Wait();
            process.WaitForExit();
            return process.ExitCode;
        }
        catch (Win32Exception)
        {
            return null;
        }
    }

    private sealed class Compiled
    {
        public string? Missing { get; init; }

        public IReadOnlyDictionary<string, LayoutRow> Layout64 { get; init; } = null!;

        public IReadOnlyDictionary<string, LayoutRow>? Layout32 { get; init; }

        public ReferenceRings Rings64 { get; init; } = null!;

        public ReferenceRings Rings32 { get; init; } = null!;
    }
}

/// <summary>A row of the table in <c>layout.c</c>.</summary>
/// <param name="Name">The C type, "type.field", or the name of a number.</param>
/// <param name="Value">The offset in bytes, or the number.</param>
/// <param name="Size">Bytes.</param>
internal sealed record LayoutRow(string Name, int Value, int Size)
{
    private const int NameLength = 56;
    private const int Length = NameLength + 8;

    public static IEnumerable<LayoutRow> ReadTable(byte[] table)
    {
        for (int at = 0; at < table.Length; at += Length)
        {
            yield return new LayoutRow(
                Encoding.ASCII.GetString(table, at, NameLength).TrimEnd('\0'),
                BinaryPrimitives.ReadInt32LittleEndian(table.AsSpan(at + NameLength)),
                BinaryPrimitives.ReadInt32LittleEndian(table.AsSpan(at + NameLength + 4)));
        }
    }
}
