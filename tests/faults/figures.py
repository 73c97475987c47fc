"""The figures of these tests, in docs/faults.json and docs/faults.md: those of `make soak`, or of a short run with
DEEPSCREEN_SOAK=figures."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"
HEADER = """# Faults and load in figures

<!-- Written by the tests in tests/faults from docs/faults.json. Do not edit. -->

Measured with `FakeDetector` networks: what is tested is everything around them. The load is that of the machine, from
all its processes, when the session began, beside its number of processors: times from a busy machine are too long.
Clients "elsewhere" stand for other machines: they run at a lower priority, and leave the processors to the service.
Clients "beside it" take from the service's processors what they want, more than it does itself.

| What | Target | Reached | Load | Processors | Day |
|---|---|---|---|---|---|
"""
COLUMNS = ("target", "reached", "load", "processors", "day")


class Figures:
    """What the tests of one session measured."""

    def __init__(self, *, is_kept: bool) -> None:
        self._is_kept = is_kept
        self.load = os.getloadavg()[0]  # before these tests made their own

    def add(self, name: str, *, target: str, reached: str) -> None:
        """Notes a figure; an older one of the same name is replaced."""
        if not self._is_kept:
            return
        path = DOCS / "faults.json"
        rows = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        rows[name] = {
            "target": target,
            "reached": reached,
            "load": round(self.load, 1),
            "processors": len(os.sched_getaffinity(0)),
            "day": datetime.now(UTC).date().isoformat(),
        }
        path.write_text(json.dumps(rows, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        (DOCS / "faults.md").write_text(page(rows), encoding="utf-8")


def page(rows: dict[str, dict[str, object]]) -> str:
    """docs/faults.md."""
    lines = [
        f"| {name} | {' | '.join(str(row[column]) for column in COLUMNS)} |\n" for name, row in sorted(rows.items())
    ]
    return HEADER + "".join(lines)
