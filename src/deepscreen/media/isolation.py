"""How the decoder server is shut in: by bubblewrap where it works, else by namespaces, else by process limits alone."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import deepscreen
from deepscreen.media.seccomp import can_filter

TRIAL_SECONDS = 10.0
SYSTEM_FOLDERS = ("/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc/ld.so.cache", "/etc/alternatives", "/nix/store")
IsolationKind = Literal["bubblewrap", "namespaces", "limits"]


@dataclass(frozen=True, slots=True)
class Isolation:
    """What stands around the decoders besides limits on memory, processor time, files and descriptors.

    ``kind``: bubblewrap: no network, no processes but its own, and of the file system only programs and libraries,
    read-only. namespaces: no network, no processes but its own. limits: neither. ``has_syscall_filter``: network,
    programs and other processes are refused by a filter on system calls, whatever ``kind`` is.
    """

    kind: IsolationKind
    has_syscall_filter: bool
    prefix: tuple[str, ...]  # of the server's command


@functools.lru_cache(maxsize=1)
def isolation() -> Isolation:
    """The strongest isolation that works here, tried once."""
    prefixes: dict[IsolationKind, tuple[str, ...]] = {"bubblewrap": _bubblewrap(), "namespaces": _unshare()}
    kind, prefix = next(((kind, found) for kind, found in prefixes.items() if _works(found)), ("limits", ()))
    return Isolation(kind, can_filter(), prefix)


def _works(prefix: tuple[str, ...]) -> bool:
    """Containers often forbid namespaces; whether they do is told by nothing but a try."""
    if not prefix:
        return False
    try:
        trial = subprocess.run(
            [*prefix, sys.executable, "-S", "-E", "-c", ""],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=TRIAL_SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return False
    return trial.returncode == 0


def _bubblewrap() -> tuple[str, ...]:
    program = shutil.which("bwrap")
    if program is None:
        return ()
    # Not --die-with-parent: that is the death of the thread that started it. The server ends with its socket.
    words = [program, "--unshare-all", "--cap-drop", "ALL", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
    for folder in _needed_folders():
        words += ["--ro-bind", folder, folder]
    return (*words, "--chdir", "/", "--")


def _unshare() -> tuple[str, ...]:
    program = shutil.which("unshare")
    words = ("--user", "--map-current-user", "--net", "--ipc", "--pid", "--fork", "--mount-proc", "--")
    return () if program is None else (program, *words)


def _needed_folders() -> Iterator[str]:
    """Programs and libraries, the shorter paths first: a mount hides what was mounted below it before."""
    own = str(Path(deepscreen.__file__).resolve().parent)
    python = {sys.prefix, sys.base_prefix, str(Path(sys.executable).parent), str(Path(sys.executable).resolve().parent)}
    paths = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    wanted = {*SYSTEM_FOLDERS, *python, own, *map(os.path.abspath, paths)}
    yield from sorted((path for path in wanted if path != "/" and Path(path).exists()), key=len)
