"""Screens one file several times in a process of its own and writes what each run cost, one JSON line a run.

``python -m deepscreen.evaluation.bench_run FILE --runs 10 --warm-up PORTRAIT``
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from deepscreen.evaluation.bench_memory import MemoryWatch, peak_resident_bytes
from deepscreen.evaluation.bench_meter import DetectorRun, MeteredDetector, Pass, PassMeter
from deepscreen.media.intake import take_in
from deepscreen.method import load_method
from deepscreen.screened import write_artefacts
from deepscreen.screening import ScreeningDesk
from deepscreen.settings import Settings, load_settings


@dataclass(frozen=True, slots=True)
class Run:
    """What one screening cost, from the file on the disk to record and evidence on the disk.

    ``stage_seconds``: ``hash`` and ``write`` are measured here, the others by the desk. ``peak_bytes`` is
    that of the process so far, ``peak_tree_bytes`` that of this run with decoder processes, shared pages counted twice.
    """

    seconds: float
    stage_seconds: Mapping[str, float]
    detectors: tuple[DetectorRun, ...]
    precision: str
    peak_bytes: int
    peak_tree_bytes: int

    def as_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> Run:
        """The run that ``as_json`` wrote."""
        data = json.loads(line)
        detectors = tuple(
            DetectorRun(**{**d, "passes": tuple(Pass(**one) for one in d["passes"])}) for d in data["detectors"]
        )
        return cls(**{**data, "detectors": detectors})


class MeteredDesk:
    """A desk whose detectors are metered; close it at the end."""

    def __init__(self, settings: Settings, meter: PassMeter) -> None:
        method = load_method(settings)
        self._runs: list[DetectorRun] = []
        self._desk = ScreeningDesk(
            settings,
            detectors=tuple(MeteredDetector(detector, meter, self._runs) for detector in method.detectors),
            scale=method.scale,
            provenance=method.provenance,
            yunet_path=method.yunet_path,
        )

    def close(self) -> None:
        """Ends the decoder's processes."""
        self._desk.close()

    def run(self, path: Path) -> Run:
        """Screens the file at *path* once; raises MediaError where it cannot be."""
        self._runs.clear()
        with TemporaryDirectory() as folder, MemoryWatch() as memory:
            start = time.perf_counter()
            intake = take_in(path, limits=self._desk.settings.limits)
            hashed = time.perf_counter()
            screened = self._desk.screen(intake)
            concluded = time.perf_counter()
            (Path(folder) / "record.json").write_bytes(screened.screening.canonical_json())
            write_artefacts(screened, Path(folder))
            end = time.perf_counter()
        stages = {"hash": hashed - start, **screened.stage_seconds, "write": end - concluded}
        precision = screened.screening.provenance.precision
        return Run(end - start, stages, tuple(self._runs), precision, peak_resident_bytes(), memory.peak_tree_bytes)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; exit code 0."""
    parser = argparse.ArgumentParser(prog="python -m deepscreen.evaluation.bench_run", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--warm-up", type=Path, help="a file that is screened first and not counted")
    parser.add_argument("--precision", default="auto", choices=("auto", "bf16", "fp32"))
    options = parser.parse_args(arguments)
    settings = load_settings(device="cpu", precision=options.precision)
    with PassMeter() as meter, closing(MeteredDesk(settings, meter)) as desk:
        if options.warm_up is not None:
            desk.run(options.warm_up)
        for _ in range(options.runs):
            sys.stdout.write(desk.run(options.file).as_json() + "\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
