namespace Xen.Blkif.Targets.Sectors;

/// <summary>A ring's queue in units of 512 bytes on one in units of a block: passes on what it can, hands the rest to a <see cref="SectorWriter"/>.</summary>
internal sealed class SectorQueue : IBlockQueue, IBlockCompletions
{
    private readonly DiscardUnits _units;
    private readonly BlockOrder _order;
    private readonly IBlockCompletions _completions;
    private readonly SectorSlot[] _slots;
    private readonly IBlockQueue _target;
    private readonly SectorWriter _writer;

    public SectorQueue(IBlockTarget target, int block, BlockOrder order, int depth, IBlockCompletions completions)
    {
        _units = new DiscardUnits(block, 0);
        _order = order;
        _completions = completions;
        _slots = new SectorSlot[depth];
        for (int i = 0; i < depth; i++)
            _slots[i] = new SectorSlot(i, block);

        _target = target.OpenQueue(depth, this);
        try
        {
            _writer = new SectorWriter(target, _slots, order, completions);
        }
        catch
        {
            _target.Dispose();
            throw;
        }

        foreach (SectorSlot slot in _slots)
            slot.BelongTo(_writer);
    }

    /// <inheritdoc/>
    public BlockStatus Submit(in BlockIo io)
    {
        SectorSlot slot = _slots[io.Slot];
        if (io.Kind == BlockIoKind.Discard)
        {
            // Never outwards: the rest of a block is not the guest's to lose here.
            long length = _units.Inside(io.Offset, io.Length, out long first);
            if (length == 0)
                return BlockStatus.Okay;
            slot.Set(BlockIo.Discard(io.Slot, first, length));
        }
        else
        {
            slot.Set(io);
        }

        if (!slot.IsClaim)
            return _target.Submit(slot.Take());
        if (!_order.TryEnter(slot))
            return BlockStatus.Pending;
        if (!slot.IsPartial)
            return SubmitClaimed(slot);

        _writer.Post(slot);
        return BlockStatus.Pending;
    }

    /// <inheritdoc/>
    public void Plug() => _target.Plug();

    /// <inheritdoc/>
    public void Unplug() => _target.Unplug();

    /// <inheritdoc/>
    public void Complete(int slot, BlockStatus status)
    {
        if (_slots[slot].TrySettle() && _slots[slot].IsClaim)
            _order.Leave(_slots[slot]);
        _completions.Complete(slot, status);
    }

    public void Dispose()
    {
        _writer.Dispose();
        _target.Dispose();
        foreach (SectorSlot slot in _slots)
            slot.Dispose();
    }

    private BlockStatus SubmitClaimed(SectorSlot slot)
    {
        BlockStatus status = BlockStatus.Error;
        try
        {
            status = _target.Submit(slot.Take());
        }
        finally
        {
            // Also where the target threw: others may wait for this place.
            if (status != BlockStatus.Pending && slot.TrySettle())
                _order.Leave(slot);
        }

        return status;
    }
}
