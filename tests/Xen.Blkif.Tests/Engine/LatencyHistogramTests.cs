using Xen.Blkif.Engine;

namespace Xen.Blkif.Tests.Engine;

internal sealed class LatencyHistogramTests
{
    [TestCase(0)]
    [TestCase(1)]
    [TestCase(7)]
    [TestCase(8)]
    [TestCase(1_000)]
    [TestCase(123_456_789)]
    [TestCase(3_600_000_000_000)]
    public void A_single_duration_is_every_percentile(long nanoseconds)
    {
        var histogram = new LatencyHistogram();
        histogram.Record(nanoseconds);
        Assert.That(histogram.Percentile(0.5), Is.EqualTo(histogram.Max));
        Assert.That(histogram.Percentile(1), Is.EqualTo(histogram.Max));
        Assert.That(histogram.Max.Ticks, Is.EqualTo((nanoseconds + 99) / 100), "in units of 100 ns, rounded up");
    }

    [Test]
    public void Percentiles_are_right_to_within_an_eighth([Values(1, 2, 3)] int seed)
    {
        var random = new Random(seed);
        var histogram = new LatencyHistogram();
        long[] values = Enumerable.Range(0, 10_000).Select(_ => (long)Math.Exp(random.NextDouble() * 20)).ToArray();
        Array.ForEach(values, histogram.Record);
        Array.Sort(values);
        foreach (double share in new[] { 0.01, 0.5, 0.9, 0.99, 1.0 })
        {
            double exact = values[(int)Math.Ceiling(share * values.Length) - 1];
            Assert.That(histogram.Percentile(share).Ticks * 100.0, Is.InRange(exact, (exact * 1.125) + 200), $"{share:P0}");
        }
    }

    [Test]
    public void Histograms_add_up()
    {
        var one = new LatencyHistogram();
        var other = new LatencyHistogram();
        one.Record(1_000);
        other.Record(1_000_000);
        one.Add(other);
        Assert.That(one.Count, Is.EqualTo(2));
        Assert.That(one.Max, Is.EqualTo(TimeSpan.FromMilliseconds(1)));
        Assert.That(one.Percentile(0.5).TotalMicroseconds, Is.EqualTo(1).Within(0.2));
    }

    [Test]
    public void Nothing_recorded_is_zero_and_a_clock_that_ran_backwards_counts_as_zero()
    {
        var histogram = new LatencyHistogram();
        Assert.That(histogram.Percentile(0.5), Is.EqualTo(TimeSpan.Zero));
        histogram.Record(-5);
        Assert.That(histogram.Count, Is.EqualTo(1));
        Assert.That(histogram.Max, Is.EqualTo(TimeSpan.Zero));
    }
}
