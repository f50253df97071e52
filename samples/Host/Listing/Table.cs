using System.Text;

namespace Xen.Blkif.Samples.Host.Listing;

/// <summary>Text in columns, each as wide as its widest cell.</summary>
/// <param name="columns">The heads; one that starts with a space is over numbers, which stand at the right.</param>
internal sealed class Table(params string[] columns)
{
    private const string Gap = "  ";

    private readonly List<string[]> _rows = [[.. columns.Select(column => column.TrimStart())]];

    /// <param name="cells">One for each column; null where nothing is known.</param>
    public void Add(params string?[] cells) => _rows.Add([.. cells.Select(cell => string.IsNullOrEmpty(cell) ? "-" : Printable(cell))]);

    public override string ToString()
    {
        int[] widths = [.. columns.Select((_, column) => _rows.Max(row => row[column].Length))];
        var text = new StringBuilder();
        foreach (string[] row in _rows)
        {
            IEnumerable<string> cells = row.Select((cell, column) => columns[column].StartsWith(' ') ? cell.PadLeft(widths[column]) : cell.PadRight(widths[column]));
            text.Append(string.Join(Gap, cells).TrimEnd()).Append('\n');
        }

        return text.ToString();
    }

    // Guests wrote some of it: none of them gets to talk to the operator's terminal.
    private static string Printable(string cell) => string.Concat(cell.Select(c => char.IsControl(c) ? '?' : c));
}
