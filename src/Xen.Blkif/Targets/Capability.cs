namespace Xen.Blkif.Targets;

/// <summary>How well a target can do something.</summary>
public enum Capability
{
    /// <summary>Not at all: the guest is not offered it.</summary>
    None,

    /// <summary>In effect, at a cost: by other means than the storage's own.</summary>
    Emulated,

    /// <summary>By the storage's own means.</summary>
    Native,
}
