using System.CommandLine;
using System.Globalization;
using Xen.Blkif.Backend;

namespace Xen.Blkif.Samples.Host.Commands;

/// <summary>How many queues a guest is offered for each of its disks.</summary>
internal static class MaxQueuesOption
{
    public static Option<int> Instance { get; } = Create();

    private static Option<int> Create()
    {
        var option = new Option<int>("--max-queues")
        {
            HelpName = "N",
            Description = "The most queues that a guest may make for a disk, 1 to 16, each with a thread of its own.",
            DefaultValueFactory = _ => new BackendOptions().MaxQueues,
        };
        option.Validators.Add(result =>
        {
            if (result.Tokens is not [{ Value: string text }] || !int.TryParse(text, NumberStyles.Integer, CultureInfo.InvariantCulture, out int queues))
                return;
            try
            {
                _ = new BackendOptions { MaxQueues = queues };
            }
            catch (ArgumentOutOfRangeException)
            {
                result.AddError($"--max-queues is from 1 to 16, not {queues}.");
            }
        });
        return option;
    }
}
