"""A scan on the fake desk, to be killed: prints a line for each file that is done, and at the end its largest memory.

Usage: run_scan.py SOURCE OUT
"""

from __future__ import annotations

import sys
from pathlib import Path

from deepscreen.evaluation.bench_memory import peak_resident_bytes
from deepscreen.scanning.rows import Row
from deepscreen.scanning.run import Progress, ScanOptions, scan
from deepscreen.screening import ScreeningDesk
from deepscreen.settings import Settings


def tell(line: str) -> None:
    """One line, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def done(row: Row) -> None:
    tell("done" if row.first_way is None else "repeats")


if __name__ == "__main__":
    desk = ScreeningDesk.with_fake_detectors(Settings(device="cpu"))
    progress = Progress(begun=lambda total: tell(f"begun {total}"), done=done)
    scan(Path(sys.argv[1]), Path(sys.argv[2]), desk=desk, options=ScanOptions(), progress=progress)
    desk.close()
    tell(f"ended {peak_resident_bytes()}")
