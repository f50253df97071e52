using Xen.Blkif.Memory;

namespace Xen.Blkif.Targets.Sectors;

/// <summary>
/// One request in units of 512 bytes, and the requests in whole blocks that it becomes: the same range with the rest of its first and its
/// last block around it. Those bytes go to and come from memory of the slot's own; the guest's data stays where it is.
/// </summary>
internal sealed unsafe class SectorSlot : BlockClaim, IDisposable
{
    private readonly int _index;
    private readonly int _block;
    private readonly byte* _head;
    private readonly byte* _tail;
    private readonly IoVector* _piece;
    private readonly NativeBuffer _memory;
    private NativeBuffer? _vectors;
    private SectorWriter _writer = null!;
    private BlockIo _io;
    private Step _next;
    private int _underWay;

    /// <param name="index">The slot's number.</param>
    /// <param name="block">Bytes of a block.</param>
    public SectorSlot(int index, int block)
    {
        _index = index;
        _block = block;
        _memory = new NativeBuffer((2 * block) + sizeof(IoVector));
        _head = _memory.Start;
        _tail = _head + block;
        _piece = (IoVector*)(_tail + block);
    }

    private enum Step : byte
    {
        ReadHead,
        ReadTail,
        Transfer,
        Nothing,
    }

    public int Index => _index;

    /// <summary>Whether the request has a place in the order of writes.</summary>
    public bool IsClaim => _io.Kind is not (BlockIoKind.Read or BlockIoKind.Flush);

    /// <summary>Whether a step is left.</summary>
    public bool HasNext => _next != Step.Nothing;

    // Bytes of the first block before the range, and of the last block behind it.
    private int Before => (int)(_io.Offset - First);

    private int Behind => (int)(End - (_io.Offset + _io.Length));

    private bool IsOneBlock => End - First == _block;

    /// <summary>Says who goes on with the slot's requests where they had to wait.</summary>
    public void BelongTo(SectorWriter writer) => _writer = writer;

    /// <summary>Takes a request.</summary>
    public void Set(in BlockIo io)
    {
        _io = io;
        First = io.Offset / _block * _block;
        End = (io.Offset + io.Length + _block - 1) / _block * _block;
        IsPartial = Before > 0 || Behind > 0;
        _next = IsPartial && IsClaim ? Step.ReadHead : Step.Transfer;
        if (_next == Step.ReadHead)
            SkipWhatIsWhole();
    }

    /// <summary>The next request to the target.</summary>
    public BlockIo Take()
    {
        Volatile.Write(ref _underWay, 1);
        Step step = _next++;
        if (step == Step.Transfer)
            return IsPartial ? Widened() : _io;

        SkipWhatIsWhole();
        *_piece = new IoVector((nint)(step == Step.ReadHead ? _head : _tail), _block);
        return BlockIo.Transfer(BlockIoKind.Read, _index, step == Step.ReadHead ? First : End - _block, _block, (nint)_piece, 1);
    }

    /// <summary>Takes the result of that request. Any thread.</summary>
    /// <returns>False where it was taken before: of a target that answers twice the first answer counts.</returns>
    public bool TrySettle() => Interlocked.Exchange(ref _underWay, 0) != 0;

    /// <inheritdoc/>
    public override void Start() => _writer.Post(this);

    public void Dispose()
    {
        _vectors?.Dispose();
        _memory.Dispose();
    }

    private void SkipWhatIsWhole()
    {
        if (_next == Step.ReadHead && Before == 0 && !IsOneBlock)
            _next = Step.ReadTail;
        if (_next == Step.ReadTail && (Behind == 0 || IsOneBlock))
            _next = Step.Transfer;
    }

    private BlockIo Widened()
    {
        int count = _io.VectorCount + 2;
        if (_vectors is null || _vectors.Length < count * sizeof(IoVector))
        {
            // As long as the longest list so far, so that this ends.
            _vectors?.Dispose();
            _vectors = new NativeBuffer(count * sizeof(IoVector));
        }

        var vectors = (IoVector*)_vectors.Start;
        int used = 0;
        if (Before > 0)
            vectors[used++] = new IoVector((nint)_head, Before);
        foreach (IoVector vector in _io.Vectors)
            vectors[used++] = vector;
        if (Behind > 0)
            vectors[used++] = new IoVector((nint)((IsOneBlock ? _head : _tail) + _block - Behind), Behind);
        return BlockIo.Transfer(_io.Kind, _index, First, End - First, (nint)vectors, used);
    }
}
