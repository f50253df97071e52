namespace Xen.Blkif.Tests.Targets.Writing;

/// <summary>What the documents show is what runs here.</summary>
internal sealed class DocumentTests
{
    [TestCase("README.md")]
    [TestCase("docs/writing-a-target.md")]
    [TestCase("docs/testing.md")]
    public void Every_example_of_a_document_is_in_the_sources_line_by_line(string name)
    {
        string[] blocks = CodeOf(File.ReadAllLines(Path.Combine(Repository.Root, name)));
        string[] sources = [.. Directory.GetFiles(Path.Combine(Repository.Root, "tests", "Xen.Blkif.Tests", "Targets", "Writing"), "*.cs")
            .Select(file => Flush(File.ReadAllLines(file)))];

        Assert.That(blocks, Is.Not.Empty);
        foreach (string block in blocks)
            Assert.That(sources.Any(source => IsIn(source, block)), Is.True, $"{name} shows what no test has:\n{block}");
    }

    // A source has its namespace between the usings and the rest.
    private static bool IsIn(string source, string block)
    {
        string[] lines = block.Split('\n');
        int body = Array.FindLastIndex(lines, line => line.StartsWith("using ", StringComparison.Ordinal) && line.EndsWith(';') && !line.Contains('=')) + 1;
        return lines[..body].All(line => source.Contains($"\n{line}\n", StringComparison.Ordinal) || line.Length == 0)
            && source.Contains("\n" + string.Join('\n', lines[body..]).TrimStart('\n'), StringComparison.Ordinal);
    }

    private static string[] CodeOf(string[] document)
    {
        var blocks = new List<string>();
        for (int i = 0; i < document.Length; i++)
        {
            if (document[i] != "```csharp")
                continue;

            int end = Array.IndexOf(document, "```", i + 1);
            blocks.Add(Flush(document[(i + 1)..end]));
            i = end;
        }

        return [.. blocks];
    }

    // Without indentation, which is another in a document.
    private static string Flush(string[] lines) => "\n" + string.Join('\n', lines.Select(line => line.TrimStart())) + "\n";
}
