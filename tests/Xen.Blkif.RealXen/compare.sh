#!/usr/bin/env bash
# Measures QEMU's qdisk, Linux's blkback and this backend side by side on the real hypervisor, under emulation: see --help.
exec dotnet run -c Release --project "$(dirname "${BASH_SOURCE[0]}")" -- compare "$@"
