using System.CommandLine;
using Microsoft.Extensions.Logging;

namespace Xen.Blkif.Samples.Host;

/// <summary>Where the daemon's words go: to standard error, one line for each event.</summary>
internal sealed class Logs
{
    private readonly Option<LogLevel> _level = new("--log-level")
    {
        Description = "The least important events to tell of: Debug, Information, Warning, Error.",
        DefaultValueFactory = _ => LogLevel.Information,
    };

    private readonly Option<bool> _json = new("--json-logs") { Description = "Write each event as one line of JSON." };

    public void AddTo(Command command)
    {
        command.Options.Add(_level);
        command.Options.Add(_json);
    }

    public ILoggerFactory Open(ParseResult arguments) => LoggerFactory.Create(logging =>
    {
        logging.SetMinimumLevel(arguments.GetValue(_level));
        logging.AddConsole(console => console.LogToStandardErrorThreshold = LogLevel.Trace);
        if (arguments.GetValue(_json))
            logging.AddJsonConsole(console => console.TimestampFormat = "yyyy-MM-ddTHH:mm:ss.fffZ");
        else if (Environment.GetEnvironmentVariable("JOURNAL_STREAM") is not null)
            logging.AddSystemdConsole(); // levels as the journal reads them; it has times of its own
        else
            logging.AddSimpleConsole(console => (console.SingleLine, console.TimestampFormat) = (true, "HH:mm:ss "));
    });
}
