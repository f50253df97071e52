using System.Globalization;
using System.Text;

namespace Xen.Blkif.PerfTests.Compare;

/// <summary>Draws latency against load: requests a second to the right, microseconds upwards by powers of ten; p50 as a line, p99 dashed.</summary>
internal sealed class LatencyPlot
{
    private const int Width = 860, Height = 520, Left = 80, Right = 160, Top = 50, Bottom = 60;
    private static readonly string[] Colours = ["#1f77b4", "#7f7f7f", "#d62728"];

    private readonly IReadOnlyDictionary<string, IReadOnlyList<CurvePoint>> _curves;
    private readonly double _mostIops;
    private readonly double _lowest;
    private readonly double _highest;
    private readonly StringBuilder _svg = new();

    /// <param name="curves">The points of each peer, by its name.</param>
    public LatencyPlot(IReadOnlyDictionary<string, IReadOnlyList<CurvePoint>> curves)
    {
        _curves = curves;
        CurvePoint[] points = [.. curves.Values.SelectMany(curve => curve)];
        _mostIops = points.Max(point => point.Figures.Iops) * 1.05;
        _lowest = Math.Floor(Math.Log10(Math.Max(points.Min(point => point.Figures.P50Us), 0.1)));
        _highest = Math.Ceiling(Math.Log10(points.Max(point => point.Figures.P99Us)));
    }

    /// <summary>The plot as SVG.</summary>
    /// <param name="title">What it shows.</param>
    public string Draw(string title)
    {
        _svg.Append(CultureInfo.InvariantCulture, $"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{Width}\" height=\"{Height}\" font-family=\"sans-serif\" font-size=\"12\">\n");
        _svg.Append("<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n");
        Text(Width / 2, 25, title, "middle");
        Text(Width / 2, Height - 15, "requests a second", "middle");
        Text(15, Top - 15, "latency, µs", "start");
        DrawGrid();
        int index = 0;
        foreach ((string name, IReadOnlyList<CurvePoint> curve) in _curves)
        {
            string colour = Colours[index % Colours.Length];
            DrawCurve(curve, point => point.P50Us, colour, "");
            DrawCurve(curve, point => point.P99Us, colour, " stroke-dasharray=\"5 4\"");
            foreach (CurvePoint point in curve)
                Text(X(point.Figures.Iops), Y(point.Figures.P50Us) - 6, $"{point.Depth}", "middle", colour);
            Text(Width - Right + 15, Top + 20 + (40 * index), $"{name}: p50", "start", colour);
            Text(Width - Right + 15, Top + 36 + (40 * index), "p99 dashed", "start", colour);
            index++;
        }

        return _svg.Append("</svg>\n").ToString();
    }

    private void DrawGrid()
    {
        for (double power = _lowest; power <= _highest; power++)
        {
            double y = Y(Math.Pow(10, power));
            Line(Left, y, Width - Right, y);
            Text(Left - 8, y + 4, Math.Pow(10, power).ToString("0.##", CultureInfo.InvariantCulture), "end");
        }

        for (int i = 0; i <= 5; i++)
        {
            double x = X(_mostIops * i / 5);
            Line(x, Top, x, Height - Bottom);
            Text(x, Height - Bottom + 18, (_mostIops * i / 5).ToString("N0", CultureInfo.InvariantCulture), "middle");
        }
    }

    private void DrawCurve(IReadOnlyList<CurvePoint> curve, Func<Figures, double> latency, string colour, string style)
    {
        string points = string.Join(' ', curve.Select(point => $"{Number(X(point.Figures.Iops))},{Number(Y(latency(point.Figures)))}"));
        _svg.Append(CultureInfo.InvariantCulture, $"<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"{style}/>\n");
    }

    private void Line(double x1, double y1, double x2, double y2) => _svg.Append(
        CultureInfo.InvariantCulture, $"<line x1=\"{Number(x1)}\" y1=\"{Number(y1)}\" x2=\"{Number(x2)}\" y2=\"{Number(y2)}\" stroke=\"#ddd\"/>\n");

    private void Text(double x, double y, string text, string anchor, string colour = "black") => _svg.Append(
        CultureInfo.InvariantCulture, $"<text x=\"{Number(x)}\" y=\"{Number(y)}\" text-anchor=\"{anchor}\" fill=\"{colour}\">{text}</text>\n");

    private double X(double iops) => Left + (iops / _mostIops * (Width - Left - Right));

    private double Y(double microseconds) =>
        Height - Bottom - ((Math.Log10(Math.Max(microseconds, 0.01)) - _lowest) / Math.Max(_highest - _lowest, 1) * (Height - Top - Bottom));

    private static string Number(double value) => value.ToString("0.#", CultureInfo.InvariantCulture);
}
