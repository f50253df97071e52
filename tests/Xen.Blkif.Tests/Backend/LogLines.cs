using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace Xen.Blkif.Tests.Backend;

/// <summary>Keeps what is logged, each logger being an object of its own.</summary>
internal sealed class LogLines : ILoggerFactory
{
    private readonly ConcurrentQueue<(LogLevel Level, string Text)> _lines = new();

    /// <summary>The lines of at least a level.</summary>
    public string[] AtLeast(LogLevel level) => _lines.Where(line => line.Level >= level).Select(line => line.Text).ToArray();

    /// <summary>The loggers of the engines, by which a test can see whether the collector has taken one.</summary>
    public ConcurrentQueue<WeakReference> EngineLoggers { get; } = new();

    public ILogger CreateLogger(string categoryName)
    {
        var logger = new Logger(_lines);
        if (categoryName.EndsWith("RequestEngine", StringComparison.Ordinal))
            EngineLoggers.Enqueue(new WeakReference(logger));
        return logger;
    }

    public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException();

    public void Dispose()
    {
        // Nothing is open.
    }

    private sealed class Logger(ConcurrentQueue<(LogLevel Level, string Text)> lines) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            lines.Enqueue((logLevel, formatter(state, exception)));
    }
}
