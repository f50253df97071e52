using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.IoUring.Queues;

/// <summary>The two things besides results that a queue waits for: its guest's event and its owner's wake-up. Each is asked for once at a time.</summary>
internal sealed class Signals(IEventDescriptors descriptors)
{
    public const int Event = 0, Wake = 1;

    /// <summary>How many there are.</summary>
    public const int Count = 2;

    private readonly bool[] _armed = new bool[Count];
    private readonly bool[] _come = new bool[Count];
    private readonly uint[] _generations = new uint[Count];
    private int _error;

    /// <summary>Whether one of them has come since the owner last looked at what it is told by them.</summary>
    public bool HasCome => _come[Event] || _come[Wake];

    /// <summary>Whether a wake-up has.</summary>
    public bool HasWoken => _come[Wake];

    public void Unmask() => descriptors.Unmask();

    /// <summary>Says that the owner looks now.</summary>
    public void Forget() => _come[Event] = _come[Wake] = false;

    /// <summary>Asks for one of them.</summary>
    /// <returns>False where that was done before and it has not come yet.</returns>
    /// <exception cref="IOException">The kernel refused the last time.</exception>
    public bool TryArm(int signal, out int descriptor, out uint generation)
    {
        if (_error != 0)
            throw new IOException($"An event channel cannot be polled: error {_error}.");
        descriptor = signal == Event ? descriptors.EventDescriptor : descriptors.WakeDescriptor;
        generation = _generations[signal];
        if (_armed[signal])
            return false;
        _armed[signal] = true;
        generation = ++_generations[signal];
        return true;
    }

    /// <summary>It was not asked for after all.</summary>
    public void Withdrawn(int signal) => _armed[signal] = false;

    /// <summary>One has come, if it is what was asked for last.</summary>
    /// <param name="signal">Which; any number.</param>
    /// <param name="generation">Which time.</param>
    /// <param name="result">What the kernel says of it; negative the number of an error.</param>
    public void Take(int signal, uint generation, int result)
    {
        if ((uint)signal >= Count || !_armed[signal] || _generations[signal] != generation)
            return;

        _armed[signal] = false;
        if (result < 0)
        {
            _error = -result;
            return;
        }

        // Nothing is there to be taken, whatever was meant: it is asked for again.
        if (result == 0)
            return;

        _come[signal] = true;
        if (signal == Event)
            descriptors.TakeEvent();
        else
            descriptors.TakeWake();
    }
}
