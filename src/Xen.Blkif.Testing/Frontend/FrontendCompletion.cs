using Xen.Blkif.Protocol;

namespace Xen.Blkif.Testing;

/// <summary>A response that a frontend took from its ring.</summary>
/// <param name="Id">The request's id; for requests made with a slot, the slot.</param>
/// <param name="Operation">The operation, as the backend echoed it.</param>
/// <param name="Status">How it went.</param>
public readonly record struct FrontendCompletion(ulong Id, BlkifOperation Operation, BlkifStatus Status);
