using System.Diagnostics.CodeAnalysis;

namespace Xen.Blkif.Tests;

/// <summary>What a test does without a tool that it needs.</summary>
internal static class Requirement
{
    /// <summary>The environment variable that turns ignored tests into failed ones when it is <c>1</c>.</summary>
    public const string RequireAll = "XEN_BLKIF_REQUIRE_ALL";

    /// <summary>Ends the test: ignored, or failed where nothing may be missing.</summary>
    [DoesNotReturn]
    public static void IsMissing(string reason)
    {
        if (Environment.GetEnvironmentVariable(RequireAll) == "1")
            Assert.Fail($"{reason}, and {RequireAll} is 1: nothing may be missing");

        Assert.Ignore($"ignored: {reason}");
        throw new InvalidOperationException("Not reached: the lines above end the test.");
    }
}
