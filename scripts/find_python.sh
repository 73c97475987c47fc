#!/usr/bin/env bash
# Prints the Python that .venv is made with: the system's own python3 where it is 3.11 to 3.13, else the newest of these.
set -euo pipefail

is_supported() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1
}

for candidate in python3 python3.13 python3.12 python3.11; do
    if command -v "$candidate" >/dev/null && is_supported "$candidate"; then
        command -v "$candidate"
        exit 0
    fi
done
echo "Deepscreen needs Python 3.11, 3.12 or 3.13; none was found. On Debian or Ubuntu: apt-get install python3" >&2
exit 1
