using System.Globalization;
using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.Samples.Host;

/// <summary>Finds a guest by the name or the number that the operator gave.</summary>
internal static class DomainName
{
    /// <exception cref="UserException">There is no such guest.</exception>
    public static DomainId Find(IXenStore store, string nameOrId)
    {
        foreach (string id in store.List("/local/domain"))
        {
            bool isIt = string.Equals(id, nameOrId, StringComparison.Ordinal)
                || string.Equals(store.Read($"/local/domain/{id}/name"), nameOrId, StringComparison.Ordinal);
            if (isIt && int.TryParse(id, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number < DomainId.FirstReserved)
                return number;
        }

        throw new UserException($"There is no domain '{nameOrId}': 'xl list' shows the names and numbers of those that run.");
    }

    /// <summary>The name of a guest, or its number where it has none.</summary>
    public static string Of(IXenStore store, string id) => store.Read($"/local/domain/{id}/name") is { Length: > 0 } name ? name : id;
}
