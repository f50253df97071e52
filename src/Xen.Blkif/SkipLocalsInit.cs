#if !NETSTANDARD
// What is on the stack is written before it is read: clearing it first costs as much as the rest of a short method.
[module: System.Runtime.CompilerServices.SkipLocalsInit]
#endif
