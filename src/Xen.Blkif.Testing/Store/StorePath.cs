using Xen.Blkif.Hypervisor;

namespace Xen.Blkif.Testing;

/// <summary>The rules of xenstore for paths.</summary>
internal static class StorePath
{
    // XENSTORE_ABS_PATH_MAX in public/io/xs_wire.h.
    private const int MaximumLength = 3072;

    public static string Home(DomainId domain) => $"/local/domain/{domain}";

    /// <summary>The absolute path that a domain means, or an exception that says what is wrong with it.</summary>
    public static string Resolve(DomainId domain, string path)
    {
        _ = path ?? throw new ArgumentNullException(nameof(path));
        if (path.Length == 0)
            throw new HypervisorException("An empty path names no node.");
        var absolute = path[0] == '/' ? path : $"{Home(domain)}/{path}";
        if (absolute.Length > MaximumLength)
            throw new HypervisorException($"A path of {absolute.Length} characters is longer than {MaximumLength}.");
        for (var i = 0; i < absolute.Length; i++)
        {
            var endsName = i == absolute.Length - 1 || absolute[i + 1] == '/';
            if (!IsLegal(absolute[i]) || (absolute[i] == '/' && endsName && absolute.Length > 1))
                throw new HypervisorException($"The path {path} names no node: names consist of letters, digits and -_@, with one / between them.");
        }

        return absolute;
    }

    public static string[] Names(string absolute) => absolute.Length == 1 ? [] : absolute.Substring(1).Split('/');

    public static string Parent(string absolute) => absolute.Substring(0, Math.Max(1, absolute.LastIndexOf('/')));

    public static bool IsAtOrBelow(string path, string ancestor) =>
        ancestor.Length == 1
        || (path.StartsWith(ancestor, StringComparison.Ordinal) && (path.Length == ancestor.Length || path[ancestor.Length] == '/'));

    private static bool IsLegal(char c) =>
        c is (>= 'a' and <= 'z') or (>= 'A' and <= 'Z') or (>= '0' and <= '9') or '-' or '/' or '_' or '@';
}
