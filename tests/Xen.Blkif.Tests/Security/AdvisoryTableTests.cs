using System.Reflection;
using System.Text.RegularExpressions;

namespace Xen.Blkif.Tests.Security;

/// <summary>The table of docs/security.md names the tests that there are.</summary>
internal sealed partial class AdvisoryTableTests
{
    private static readonly MethodInfo[] Methods = [.. typeof(AdvisoryTableTests).Assembly.GetTypes().SelectMany(type => type.GetMethods())];

    [Test]
    public void Every_test_that_the_table_names_exists()
    {
        string[] named = [.. Name().Matches(Table()).Select(match => match.Groups[1].Value)];
        Assert.That(named, Is.Not.Empty);
        foreach (string name in named)
            Assert.That(Methods.Any(method => NameOf(method) == name), Is.True, name);
    }

    [Test]
    public void Every_test_of_an_advisory_is_in_the_row_of_it()
    {
        string[] rows = Table().Split('\n');
        foreach (MethodInfo method in Methods)
        {
            foreach (string advisory in AdvisoriesOf(method))
            {
                Assert.That(
                    rows.Any(row => Regex.IsMatch(row.Split('|')[1], $@"\b{advisory}\b") && row.Contains($"`{NameOf(method)}`", StringComparison.Ordinal)),
                    Is.True, $"{advisory}: {NameOf(method)}");
            }
        }
    }

    // Generic types have their number of arguments behind a quote.
    private static string NameOf(MethodInfo method) => $"{method.DeclaringType!.Name.Split('`')[0]}.{method.Name}";

    private static IEnumerable<string> AdvisoriesOf(MethodInfo method)
    {
        Match name = Advisory().Match(method.Name);
        if (name.Success)
            yield return name.Value.Replace('_', '-');
        foreach (PropertyAttribute property in method.GetCustomAttributes<PropertyAttribute>())
        {
            foreach (object value in property.Properties["Advisory"])
                yield return (string)value;
        }
    }

    private static string Table() => string.Join(
        '\n', File.ReadLines(Path.Combine(Repository.Root, "docs", "security.md")).Where(line => line.StartsWith('|') && line.Contains('`', StringComparison.Ordinal)));

    [GeneratedRegex(@"`(\w+Tests\.\w+)`")]
    private static partial Regex Name();

    [GeneratedRegex(@"^(XSA_\d+|CVE_\d+_\d+)")]
    private static partial Regex Advisory();
}
