#!/usr/bin/env bash
# Installs the system packages that Deepscreen needs and this machine lacks; does nothing where all are there.
# Usage: apt.sh PYTHON [tests]    (the interpreter that .venv is, or will be, made with; "tests" for what only tests need)
#
# opencv-python links against libGL, GLib and libxcb; WeasyPrint sets text with Pango and some font; Debian's python3 comes without the parts that make a venv.
set -euo pipefail
python="$1"
[ -n "$python" ] || exit 1 # find_python.sh has said why

has_library() {
    local folder
    for folder in /lib /usr/lib /lib64 /usr/lib64 /lib/*-linux-gnu /usr/lib/*-linux-gnu; do
        [ -e "$folder/$1" ] && return 0
    done
    return 1
}

missing=()
if [ "$(uname -s)" = Linux ]; then
    has_library libGL.so.1 || missing+=(libgl1)
    has_library libgthread-2.0.so.0 || missing+=(libglib2.0-0)
    has_library libxcb.so.1 || missing+=(libxcb1)
    has_library libpango-1.0.so.0 && has_library libpangoft2-1.0.so.0 || missing+=(libpango-1.0-0 libpangoft2-1.0-0)
    compgen -G '/usr/share/fonts/*/*' >/dev/null || missing+=(fonts-dejavu-core)
fi
if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
    missing+=("python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv")
fi
# The tests of the store run a Postgres server of their own, on a folder of their own.
if [ "${2:-}" = tests ] && ! command -v postgres >/dev/null && ! compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null; then
    missing+=(postgresql)
fi
# The tests of pages look at them in a real browser.
if [ "${2:-}" = tests ] && ! command -v chromium >/dev/null && ! command -v google-chrome >/dev/null; then
    missing+=(chromium)
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    as_root=(sudo)
fi
# Decoders are shut in more tightly with bubblewrap, and run without it: asked for where that takes no password.
if [ "$(uname -s)" = Linux ] && ! command -v bwrap >/dev/null && command -v apt-get >/dev/null &&
    { [ ${#as_root[@]} -eq 0 ] || sudo -n true 2>/dev/null; }; then
    missing+=(bubblewrap)
fi
[ ${#missing[@]} -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null || ! command -v "${as_root[0]:-true}" >/dev/null; then
    echo "Missing system packages (Debian names): ${missing[*]}. Install them, then run make again." >&2
    exit 1
fi
echo "Installing missing system packages: ${missing[*]}"
install() {
    "${as_root[@]}" apt-get update -qq &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" </dev/null
}
install "${missing[@]}" || { [ "${missing[*]}" = bubblewrap ] && echo "It goes on without bubblewrap." >&2; }
