using Microsoft.Extensions.Logging;

namespace Xen.Blkif.Fuzz;

/// <summary>Counts what is logged and holds it against what may be: a guest must not fill the host's disk.</summary>
internal sealed class CountingLogs : ILoggerFactory, ILogger
{
    // Four budgets of a device, each with ten lines at once and ten a minute, and a line for each that says what was left out.
    private const int LinesPerDevice = 120;

    private int _lines;
    private int _allowed;

    public bool IsTooMuch => Volatile.Read(ref _lines) > Volatile.Read(ref _allowed);

    /// <summary>Allows the lines of another device, or of another thing that the operator did.</summary>
    public void Allow() => Interlocked.Add(ref _allowed, LinesPerDevice);

    public ILogger CreateLogger(string categoryName) => this;

    public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException();

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
        Interlocked.Increment(ref _lines);

    public void Dispose()
    {
        // Nothing is open.
    }
}
