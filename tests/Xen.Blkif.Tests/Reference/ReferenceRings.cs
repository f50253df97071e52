using System.Runtime.InteropServices;
using Xen.Blkif.Protocol;

namespace Xen.Blkif.Tests.Reference;

/// <summary>The functions of <c>ring.c</c>, in one of the two layouts.</summary>
internal sealed unsafe class ReferenceRings
{
    private readonly nint _library;

    public ReferenceRings(nint library)
    {
        _library = library;
        RequestSize = (int)Number("request_size")();
        ResponseSize = (int)Number("response_size")();
        StateSize = (int)Number("state_size")();
        BackAttach = (delegate* unmanaged[Cdecl]<byte*, byte*, uint, uint, uint>)Export("back_attach");
        BackPut = (delegate* unmanaged[Cdecl]<byte*, ulong, uint, int, void>)Export("back_put");
        BackTake = (delegate* unmanaged[Cdecl]<byte*, byte*, uint>)Export("back_take");
        BackPush = State("back_push");
        BackFinalCheck = State("back_final_check");
        BackCorrupt = State("back_corrupt");
        BackUnanswered = State("back_unanswered");
        FrontAttach = (delegate* unmanaged[Cdecl]<byte*, byte*, uint, uint, uint>)Export("front_attach");
        FrontInitialise = (delegate* unmanaged[Cdecl]<byte*, void>)Export("front_initialise");
        FrontPut = (delegate* unmanaged[Cdecl]<byte*, byte*, uint>)Export("front_put");
        FrontTake = (delegate* unmanaged[Cdecl]<byte*, byte*, uint>)Export("front_take");
        FrontPush = State("front_push");
        FrontFinalCheck = State("front_final_check");
        FrontCorrupt = State("front_corrupt");
        FrontFree = State("front_free");
    }

    public int RequestSize { get; }

    public int ResponseSize { get; }

    public int StateSize { get; }

    // Raw pointers: they are called a million times, and by name they read like the C.
    internal readonly delegate* unmanaged[Cdecl]<byte*, byte*, uint, uint, uint> BackAttach, FrontAttach;
    internal readonly delegate* unmanaged[Cdecl]<byte*, ulong, uint, int, void> BackPut;
    internal readonly delegate* unmanaged[Cdecl]<byte*, byte*, uint> BackTake, FrontPut, FrontTake;
    internal readonly delegate* unmanaged[Cdecl]<byte*, uint> BackPush, BackFinalCheck, BackCorrupt, BackUnanswered;
    internal readonly delegate* unmanaged[Cdecl]<byte*, uint> FrontPush, FrontFinalCheck, FrontCorrupt, FrontFree;
    internal readonly delegate* unmanaged[Cdecl]<byte*, void> FrontInitialise;

    private delegate* unmanaged[Cdecl]<byte*, uint> State(string name) => (delegate* unmanaged[Cdecl]<byte*, uint>)Export(name);

    private delegate* unmanaged[Cdecl]<uint> Number(string name) => (delegate* unmanaged[Cdecl]<uint>)Export(name);

    private nint Export(string name) => NativeLibrary.GetExport(_library, name);
}

/// <summary>The backend's end of a ring in C.</summary>
internal sealed unsafe class ReferenceBackRing : IDisposable
{
    private readonly ReferenceRings _rings;
    private readonly byte* _state;

    public ReferenceBackRing(ReferenceRings rings, nint address, int length, uint index)
    {
        _rings = rings;
        _state = (byte*)NativeMemory.AllocZeroed((nuint)rings.StateSize);
        Size = rings.BackAttach(_state, (byte*)address, (uint)length, index);
    }

    public uint Size { get; }

    public uint Unanswered => _rings.BackUnanswered(_state);

    public bool IsCorrupt => _rings.BackCorrupt(_state) != 0;

    public bool TryTake(Span<byte> request)
    {
        fixed (byte* to = request)
            return _rings.BackTake(_state, to) != 0;
    }

    public void Put(ulong id, byte operation, BlkifStatus status) => _rings.BackPut(_state, id, operation, (int)status);

    public bool Push() => _rings.BackPush(_state) != 0;

    public bool FinalCheck() => _rings.BackFinalCheck(_state) != 0;

    public void Dispose() => NativeMemory.Free(_state);
}

/// <summary>The frontend's end of a ring in C.</summary>
internal sealed unsafe class ReferenceFrontRing : IDisposable
{
    private readonly ReferenceRings _rings;
    private readonly byte* _state;

    public ReferenceFrontRing(ReferenceRings rings, nint address, int length, uint index)
    {
        _rings = rings;
        _state = (byte*)NativeMemory.AllocZeroed((nuint)rings.StateSize);
        Size = rings.FrontAttach(_state, (byte*)address, (uint)length, index);
    }

    public uint Size { get; }

    public uint Free => _rings.FrontFree(_state);

    public bool IsCorrupt => _rings.FrontCorrupt(_state) != 0;

    public void Initialise() => _rings.FrontInitialise(_state);

    public bool TryPut(ReadOnlySpan<byte> request)
    {
        fixed (byte* from = request)
            return _rings.FrontPut(_state, from) != 0;
    }

    public bool Push() => _rings.FrontPush(_state) != 0;

    public bool TryTake(Span<byte> response)
    {
        fixed (byte* to = response)
            return _rings.FrontTake(_state, to) != 0;
    }

    public bool FinalCheck() => _rings.FrontFinalCheck(_state) != 0;

    public void Dispose() => NativeMemory.Free(_state);
}
