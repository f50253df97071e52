using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.Testing;

/// <summary>A node with all below it. Never changes, so that a transaction keeps the store as it was by keeping the root.</summary>
internal sealed class StoreNode
{
    // Sorted by ordinal, in the same order.
    private readonly string[] _names;
    private readonly StoreNode[] _children;

    private StoreNode(string value, StorePermissions permissions, object version, string[] names, StoreNode[] children)
    {
        Value = value;
        Permissions = permissions;
        Version = version;
        _names = names;
        _children = children;
    }

    public StoreNode(StorePermissions permissions) : this("", permissions, new object(), [], [])
    {
    }

    public string Value { get; }

    public StorePermissions Permissions { get; }

    /// <summary>
    /// Another object whenever the value is written, or the permissions or the names below change; the same when only a child changes.
    /// </summary>
    public object Version { get; }

    public IReadOnlyList<string> Names => _names;

    public IReadOnlyList<StoreNode> Children => _children;

    public StoreNode? Child(string name)
    {
        var index = IndexOf(name);
        return index < 0 ? null : _children[index];
    }

    public StoreNode With(string value) => new(value, Permissions, new object(), _names, _children);

    public StoreNode With(StorePermissions permissions) => new(Value, permissions, new object(), _names, _children);

    public StoreNode WithChild(string name, StoreNode child)
    {
        var index = IndexOf(name);
        if (index < 0)
            return new StoreNode(Value, Permissions, new object(), Insert(_names, ~index, name), Insert(_children, ~index, child));
        var children = (StoreNode[])_children.Clone();
        children[index] = child;
        return new StoreNode(Value, Permissions, Version, _names, children);
    }

    public StoreNode WithoutChild(string name)
    {
        var index = IndexOf(name);
        return new StoreNode(Value, Permissions, new object(), Delete(_names, index), Delete(_children, index));
    }

    private int IndexOf(string name) => Array.BinarySearch(_names, name, StringComparer.Ordinal);

    private static T[] Insert<T>(T[] items, int index, T item)
    {
        var result = new T[items.Length + 1];
        Array.Copy(items, result, index);
        result[index] = item;
        Array.Copy(items, index, result, index + 1, items.Length - index);
        return result;
    }

    private static T[] Delete<T>(T[] items, int index)
    {
        var result = new T[items.Length - 1];
        Array.Copy(items, result, index);
        Array.Copy(items, index + 1, result, index, result.Length - index);
        return result;
    }
}
