"""Peak memory of this process, and of it together with its decoder processes, read from ``/proc`` (Linux)."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

POLL_SECONDS = 0.05
KIB = 1024


class MemoryWatch:
    """While it is open, the resident memory of this process and all below it is added up every 50 ms.

    Pages that several processes share are counted once for each: the sum is an upper bound.
    """

    def __init__(self) -> None:
        self.peak_tree_bytes = 0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory-watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._is_over.wait(POLL_SECONDS):
            self.peak_tree_bytes = max(self.peak_tree_bytes, sum(map(_resident_bytes, _process_tree(os.getpid()))))


def peak_resident_bytes() -> int:
    """The most resident memory that this program ever had.

    Not ``ru_maxrss``: that is inherited over fork and exec, so a small program started by a large one looks large.
    """
    return _status_bytes(os.getpid(), "VmHWM")


def _resident_bytes(process: int) -> int:
    return _status_bytes(process, "VmRSS")


def _status_bytes(process: int, field: str) -> int:
    """0 for a process that has ended meanwhile."""
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    found = re.search(rf"^{field}:\s+(\d+) kB", status, re.MULTILINE)
    return int(found.group(1)) * KIB if found else 0


def _process_tree(root: int) -> set[int]:
    """*root* and everything below it."""
    parents = {int(p.name): _parent(p) for p in Path("/proc").iterdir() if p.name.isdigit()}
    tree, before = {root}, 0
    while len(tree) > before:
        before = len(tree)
        tree |= {process for process, parent in parents.items() if parent in tree}
    return tree


def _parent(entry: Path) -> int:
    try:
        # The name, in brackets, may hold spaces and brackets of its own.
        return int((entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return 0
