namespace System.Runtime.CompilerServices;

/// <summary>Lets the compiler emit <c>init</c> accessors on netstandard, where the runtime lacks this marker.</summary>
internal static class IsExternalInit;
