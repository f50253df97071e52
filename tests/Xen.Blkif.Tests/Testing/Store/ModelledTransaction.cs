using NUnit.Framework;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Tests.Testing.Store;

/// <summary>A transaction beside a model of it: a copy of the store's model, the changes, and what was read.</summary>
internal sealed class ModelledTransaction : IDisposable
{
    private readonly IXenStoreTransaction _transaction;
    private readonly StoreModel _start;
    private readonly StoreModel _inside;
    private readonly List<(string Path, string? Value)> _changes = [];
    private readonly HashSet<string> _used = [];

    public ModelledTransaction(SimulatedXenStore store, StoreModel model)
    {
        _transaction = store.BeginTransaction();
        _start = model.Clone();
        _inside = model.Clone();
    }

    public void Step(Random random)
    {
        if (random.Next(3) == 0)
        {
            var read = StoreModel.RandomPath(random);
            _ = _used.Add(read);
            Assert.That(_transaction.Read(read), Is.EqualTo(_inside.Read(read)), read);
            return;
        }

        StoreModel.RandomChange(random, out var path, out var value);
        _ = _used.Add(path);
        _inside.Apply(_transaction, path, value);
        _changes.Add((path, value));
    }

    /// <summary>Commits, and says 1 where that succeeded; the model then has the changes, else it has not.</summary>
    public int Commit(StoreModel model)
    {
        var committed = _transaction.TryCommit();
        if (_used.Any(path => _start.Read(path) != model.Read(path)))
            Assert.That(committed, Is.False, "something that was read or written has another value by now");
        if (_start.Changes == model.Changes)
            Assert.That(committed, Is.True, "nobody has changed anything");
        if (!committed)
            return 0;
        foreach (var (path, value) in _changes)
            model.Apply(path, value);
        return 1;
    }

    public void Dispose() => _transaction.Dispose();
}
