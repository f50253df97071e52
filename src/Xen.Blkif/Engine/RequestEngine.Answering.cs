using Xen.Blkif.Protocol;
using Xen.Blkif.Rings;

namespace Xen.Blkif.Engine;

/// <content>From a result to the response.</content>
internal sealed unsafe partial class RequestEngine<TRequest, TResponse>
{
    /// <summary>Answers what is done: the guest's pages let go of, every response put, then shown at once, with one notification at most.</summary>
    private void Respond()
    {
        int count = _finished.Count;
        if (count == 0)
            return;

        // Where the clock is a system call, it takes longer than all of this. If it can, the guest does not wait for it.
        long now = _guest.NotesTime ? _clock() : 0;
        uint first = _ring.NextResponse;
        for (int i = 0; i < count; i++)
        {
            RequestSlot* slot = _finished[i];
            _guest.Release(slot, now);
            _ring.Put().Fill(slot->Id, slot->Operation, slot->Status);
            Statistics.Count(*slot);
            _pool.Return(slot);
        }

        if (_journal is not null)
            NoteResponses(_journal, first);

        // What they had may be what a request in the ring waits for.
        _obstacles &= ~Obstacles.Room;
        uint before = _ring.Publish();

        // What is said before sleep is said here already where there is nothing more to do: one fence then serves for both.
        _isToBeWoken = !(IsPolled && MayBePolled) && AskToBeWoken();

        // Full fence: publish rsp_prod before reading rsp_event. Pairs with the fence in the frontend's final check, so that
        // either it sees these responses or this sees that it wants an event; without it both could go to sleep.
        Interlocked.MemoryBarrier();
        bool isAwaited = _ring.IsAwaited(before);
        if (_journal is not null)
            ForgetResponses(_journal);

        if (isAwaited)
        {
            Statistics.Notifications++;
            _channel.Notify();
        }

        _time = _noted = now = now != 0 ? now : _clock();
        for (int i = 0; i < count; i++)
            Statistics.Time(*_finished[i], now);
    }

    // Before they are shown: a successor that finds this index shown knows that the request is answered.
    private void NoteResponses(RingJournal journal, uint first)
    {
        for (int i = 0; i < _finished.Count; i++)
            journal.Index(_pool.IndexOf(_finished[i]), first + (uint)i);
    }

    private void ForgetResponses(RingJournal journal)
    {
        for (int i = 0; i < _finished.Count; i++)
            journal.Release(_pool.IndexOf(_finished[i]));
    }
}
