using System.Globalization;
using Spectre.Console;

namespace Xen.Blkif.PerfTests;

/// <summary>Tables for people, as wide as they have to be where nobody's terminal sets a width.</summary>
internal static class Results
{
    private const int WidthOfFiles = 200;

    /// <summary>Where tables go.</summary>
    public static IAnsiConsole Output { get; } = Create();

    /// <summary>Makes a table whose first column is text, and whose others are numbers.</summary>
    public static Table NewTable(params string[] headings)
    {
        var table = new Table { Border = TableBorder.Simple };
        for (int i = 0; i < headings.Length; i++)
        {
            var column = new TableColumn(headings[i]) { NoWrap = true, Padding = new Padding(0, 0, 1, 0) };
            table.AddColumn(i == 0 ? column : column.RightAligned());
        }

        return table;
    }

    /// <summary>A number as every reader writes it; a dash where there is none.</summary>
    public static string Number(double? value, string format) => value is { } number ? number.ToString(format, CultureInfo.InvariantCulture) : "–";

    private static IAnsiConsole Create()
    {
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings { Ansi = Console.IsOutputRedirected ? AnsiSupport.No : AnsiSupport.Detect });
        if (Console.IsOutputRedirected)
            console.Profile.Width = WidthOfFiles;
        return console;
    }
}
