using System.Globalization;

namespace Xen.Blkif.RealXen;

/// <summary>How a script went.</summary>
/// <param name="Status">0 where it succeeded.</param>
/// <param name="Seconds">How long it took.</param>
/// <param name="Log">What it said.</param>
internal sealed record ScenarioResult(int Status, int Seconds, string Log);

/// <summary>Reads what the machine says on its serial line: <c>lab/dom0-init</c> tells there how the scripts go.</summary>
internal sealed class LabConsole(TextReader console, LabListener listener)
{
    private static readonly TimeSpan Silence = TimeSpan.FromMinutes(10);

    /// <summary>Reads until the scripts are done.</summary>
    /// <exception cref="InvalidOperationException">The machine says that it is broken, or says nothing any more.</exception>
    public async Task ListenAsync()
    {
        var log = new List<string>();
        string script = "";

        // All that the machine says, as it says it, for whoever looks for a script that hangs.
        string? copy = Environment.GetEnvironmentVariable("XEN_BLKIF_LAB_CONSOLE");
        await using StreamWriter file = copy is null ? StreamWriter.Null : new StreamWriter(copy) { AutoFlush = true };
        while (await ReadAsync() is { } said)
        {
            await file.WriteLineAsync(said);
            string line = said.TrimEnd();
            switch (line.Split(' '))
            {
                case ["@@", "begin", var name]:
                    log.Clear();
                    script = name;
                    listener.Progress(name.Replace('_', ' '));
                    break;
                case ["@@", "end", var name, var status, var seconds]:
                    listener.Ended(name, new ScenarioResult(Number(status), Number(seconds), string.Join('\n', log)));
                    break;
                case ["@@", "done"]:
                    return;
                case ["@@", "broken", .. var words]:
                    throw new InvalidOperationException($"The machine is broken: {string.Join(' ', words)}.");
                case [""]: // the serial line ends each line twice
                    break;
                default:
                    log.Add(line);
                    listener.Line?.Invoke(script, line);
                    break;
            }
        }

        throw new InvalidOperationException($"The machine went down. Its last words:\n{string.Join('\n', log.TakeLast(60))}");
    }

    private async Task<string?> ReadAsync()
    {
        try
        {
            return await console.ReadLineAsync().WaitAsync(Silence);
        }
        catch (TimeoutException e)
        {
            throw new InvalidOperationException($"The machine has said nothing for {Silence.TotalMinutes} minutes.", e);
        }
    }

    private static int Number(string text) => int.Parse(text, NumberStyles.None, CultureInfo.InvariantCulture);
}
