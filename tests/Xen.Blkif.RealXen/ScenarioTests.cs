namespace Xen.Blkif.RealXen;

/// <summary>Each scenario of <c>lab/scenarios</c>, with real guests on the real hypervisor.</summary>
[Category("RealXen")]
internal sealed class ScenarioTests
{
    private static IEnumerable<TestCaseData> Cases() => Scenarios.Names.Select(name => new TestCaseData(name).SetArgDisplayNames(name.Replace('_', ' ')));

    [TestCaseSource(nameof(Cases))]
    [CancelAfter(900_000)]
    public async Task On_the_real_hypervisor(string scenario)
    {
        ScenarioResult result = await Scenarios.Shared.ResultOfAsync(scenario).WaitAsync(TimeSpan.FromMinutes(15));
        TestContext.Out.WriteLine($"{result.Seconds} s");
        Assert.That(result.Status, Is.Zero, result.Log);
    }
}
