using System.Diagnostics;

namespace Xen.Blkif.Tests.Backend;

/// <summary>Waits for what other threads bring about.</summary>
internal static class Eventually
{
    private const int PatienceSeconds = 20;

    /// <summary>Fails the test where a condition does not come to hold.</summary>
    public static Task IsTrue(Func<bool> condition, string what) => IsTrue(condition, () => what);

    /// <summary>Fails the test where a condition does not come to hold, with a text that is made only then.</summary>
    public static async Task IsTrue(Func<bool> condition, Func<string> what)
    {
        long start = Stopwatch.GetTimestamp();
        while (!condition())
        {
            TimeSpan elapsed = Stopwatch.GetElapsedTime(start);
            if (elapsed.TotalSeconds > PatienceSeconds)
                Assert.Fail($"after {PatienceSeconds} s still not so: {what()}");

            // Most of what is waited for is there within microseconds, and a timer takes milliseconds.
            if (elapsed.TotalMilliseconds < 1)
                await Task.Yield();
            else
                await Task.Delay(1);
        }
    }

    /// <summary>Fails the test where a task does not end.</summary>
    public static async Task Ends(Task task, string what)
    {
        if (await Task.WhenAny(task, Task.Delay(TimeSpan.FromSeconds(PatienceSeconds))) != task)
            Assert.Fail($"after {PatienceSeconds} s still not so: {what}");
        await task;
    }
}
