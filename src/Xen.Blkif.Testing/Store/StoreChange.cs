using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.Testing;

/// <summary>One change that a domain asks for, now or when its transaction commits.</summary>
internal sealed class StoreChange
{
    private readonly DomainId _by;
    private readonly string? _value;
    private readonly StorePermissions? _permissions;

    private StoreChange(DomainId by, string path, string? value, StorePermissions? permissions)
    {
        _by = by;
        _value = value;
        _permissions = permissions;
        Path = path;
    }

    public string Path { get; }

    public bool IsRemoval => _value is null && _permissions is null;

    public static StoreChange Write(DomainId by, string path, string value) =>
        new(by, path, value ?? throw new ArgumentNullException(nameof(value)), null);

    public static StoreChange Remove(DomainId by, string path) => new(by, path, null, null);

    public static StoreChange SetPermissions(DomainId by, string path, StorePermissions permissions) =>
        new(by, path, null, permissions);

    /// <summary>Makes the change and says whether there was anything to do.</summary>
    public bool Apply(StoreTree tree)
    {
        if (IsRemoval)
            return tree.Remove(_by, Path);
        if (_value is not null)
            tree.Write(_by, Path, _value);
        else
            tree.SetPermissions(_by, Path, _permissions!);
        return true;
    }
}
