using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.Backend;

/// <summary>Runs transactions to their end.</summary>
internal static class StoreTransactions
{
    // Every attempt that fails is one that another writer won: a guest that writes in a tight loop must not hold its backend up for ever.
    private const int MaxAttempts = 100;

    /// <summary>Does something in a transaction, again and again while others interfere.</summary>
    /// <exception cref="HypervisorException">The store failed, or others interfered too often.</exception>
    public static T Transact<T>(this IXenStore store, Func<IXenStoreAccess, T> work)
    {
        for (int attempt = 0; attempt < MaxAttempts; attempt++)
        {
            using IXenStoreTransaction transaction = store.BeginTransaction();
            T result = work(transaction);
            if (transaction.TryCommit())
                return result;
        }

        throw new HypervisorException($"A xenstore transaction was disturbed {MaxAttempts} times in a row.");
    }

    /// <inheritdoc cref="Transact{T}"/>
    public static void Transact(this IXenStore store, Action<IXenStoreAccess> work) => store.Transact(access =>
    {
        work(access);
        return true;
    });
}
