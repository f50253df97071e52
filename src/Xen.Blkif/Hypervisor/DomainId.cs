namespace Xen.Blkif.Hypervisor;

/// <summary>A domain (virtual machine) of the hypervisor, 0 to 0x7FEF. Domain 0 is the control domain.</summary>
/// <remarks>Source: <c>domid_t</c> and <c>DOMID_FIRST_RESERVED</c> in Xen's <c>public/xen.h</c>.</remarks>
public readonly record struct DomainId
{
    /// <summary>The first of the reserved numbers, which name no domain.</summary>
    public const ushort FirstReserved = 0x7FF0;

    /// <summary>Names a domain by its number.</summary>
    /// <param name="value">0 to 0x7FEF.</param>
    /// <exception cref="ArgumentOutOfRangeException">The number is reserved.</exception>
    public DomainId(int value)
    {
        if ((uint)value >= FirstReserved)
            throw new ArgumentOutOfRangeException(nameof(value), value, "A domain id is a number from 0 to 32751.");
        Value = (ushort)value;
    }

    /// <summary>The number.</summary>
    public ushort Value { get; }

    /// <summary>The domain with the number <paramref name="value"/>.</summary>
    /// <param name="value">0 to 0x7FEF.</param>
    public static implicit operator DomainId(int value) => new(value);

    /// <summary>The domain with the number <paramref name="value"/>, for languages without conversions.</summary>
    /// <param name="value">0 to 0x7FEF.</param>
    public static DomainId FromInt32(int value) => new(value);

    /// <summary>The number in decimal, as xenstore paths have it.</summary>
    public override string ToString() => Value.ToString(System.Globalization.CultureInfo.InvariantCulture);
}
