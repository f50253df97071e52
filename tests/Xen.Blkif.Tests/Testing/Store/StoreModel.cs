using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.Tests.Testing.Store;

/// <summary>The store as a dictionary from path to value: enough to say what it must hold after a sequence of changes.</summary>
internal sealed class StoreModel
{
    private static readonly string[] Paths =
    [
        .. from a in "abc" from b in "_xyz" from c in "_uv" where b != '_' || c == '_' select Path(a, b, c),
    ];

    private SortedDictionary<string, string> _nodes = new(StringComparer.Ordinal);

    /// <summary>How many changes there have been.</summary>
    public int Changes { get; private set; }

    public StoreModel Clone() => new() { _nodes = new SortedDictionary<string, string>(_nodes, StringComparer.Ordinal), Changes = Changes };

    public static string RandomPath(Random random) => Paths[random.Next(Paths.Length)];

    /// <summary>Draws a change: a write, or, where the value is null, a removal.</summary>
    public static void RandomChange(Random random, out string path, out string? value)
    {
        path = RandomPath(random);
        value = random.Next(3) == 0 ? null : $"{random.Next()}";
    }

    public string? Read(string path) => _nodes.GetValueOrDefault(path);

    public void Apply(string path, string? value)
    {
        Changes++;
        if (value is null)
        {
            foreach (var gone in _nodes.Keys.Where(key => key == path || key.StartsWith(path + "/", StringComparison.Ordinal)).ToArray())
                _ = _nodes.Remove(gone);
            return;
        }

        for (var slash = path.IndexOf('/', 1); slash > 0; slash = path.IndexOf('/', slash + 1))
            _ = _nodes.TryAdd(path[..slash], "");
        _nodes[path] = value;
    }

    public void Apply(IXenStoreAccess store, string path, string? value)
    {
        if (value is null)
            store.Remove(path);
        else
            store.Write(path, value);
        Apply(path, value);
    }

    public string[] Dump() => [.. _nodes.Select(node => $"{node.Key}={node.Value}")];

    public static string[] Dump(IXenStoreAccess store)
    {
        var lines = new SortedDictionary<string, string>(StringComparer.Ordinal);
        Visit("");
        return [.. lines.Select(node => $"{node.Key}={node.Value}")];

        void Visit(string parent)
        {
            foreach (var name in store.List(parent.Length == 0 ? "/" : parent))
            {
                lines.Add($"{parent}/{name}", store.Read($"{parent}/{name}")!);
                Visit($"{parent}/{name}");
            }
        }
    }

    private static string Path(char a, char b, char c) => b == '_' ? $"/{a}" : c == '_' ? $"/{a}/{b}" : $"/{a}/{b}/{c}";
}
