namespace Xen.Blkif.Hypervisor;

/// <summary>The index of an entry in a guest's grant table: a page (4096 bytes) that it lets another domain reach.</summary>
/// <param name="Value">Any 32-bit number: the guest chooses it, the hypervisor checks it.</param>
public readonly record struct GrantReference(uint Value)
{
    /// <summary>The number in decimal, as xenstore has it.</summary>
    public override string ToString() => Value.ToString(System.Globalization.CultureInfo.InvariantCulture);
}
