using System.Text.Json.Serialization;
using Xen.Blkif.Samples.Host.Listing;

namespace Xen.Blkif.Samples.Host.Status;

/// <summary>Writes and reads the documents without reflection.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true)]
[JsonSerializable(typeof(ProcessReport))]
[JsonSerializable(typeof(IReadOnlyList<ListedDisk>))]
internal sealed partial class ReportJson : JsonSerializerContext;
