using Spectre.Console;

namespace Xen.Blkif.Samples.Loopback;

/// <summary>The two ends that the program writes to: plain text where they lead into a file or another program.</summary>
internal static class Terminal
{
    // As wide as a terminal usually is.
    private const int WidthOfFiles = 80;

    public static IAnsiConsole Output { get; } = Create(Console.Out, Console.IsOutputRedirected);

    public static IAnsiConsole Errors { get; } = Create(Console.Error, Console.IsErrorRedirected);

    /// <summary>Where progress is shown: nowhere, where nobody watches.</summary>
    public static IAnsiConsole Progress { get; } = Console.IsErrorRedirected ? Create(TextWriter.Null, redirected: true) : Errors;

    private static IAnsiConsole Create(TextWriter writer, bool redirected)
    {
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Out = new AnsiConsoleOutput(writer),
            Ansi = redirected ? AnsiSupport.No : AnsiSupport.Detect,
            ColorSystem = redirected ? ColorSystemSupport.NoColors : ColorSystemSupport.Detect,
            Interactive = redirected ? InteractionSupport.No : InteractionSupport.Detect,
        });
        if (redirected)
            console.Profile.Width = WidthOfFiles;
        return console;
    }
}
