using System.Text.Json;

namespace Xen.Blkif.PerfTests;

/// <summary>Results for machines: an array of rows.</summary>
internal static class JsonFile
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true, PropertyNamingPolicy = JsonNamingPolicy.CamelCase };

    /// <summary>Writes rows.</summary>
    /// <param name="path">The file, which is overwritten; <see langword="null"/> to write none.</param>
    /// <param name="rows">The rows; the names of their properties begin with a small letter there.</param>
    /// <exception cref="UserException">The file cannot be written.</exception>
    public static void Write<T>(string? path, IReadOnlyList<T> rows)
    {
        if (path is null)
            return;
        try
        {
            File.WriteAllText(path, JsonSerializer.Serialize(rows, Indented) + "\n");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"The results cannot be written to '{path}': {e.Message}");
        }
    }
}
