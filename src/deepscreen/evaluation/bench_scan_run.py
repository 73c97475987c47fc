"""Makes the files of the benchmark of scans, and measures: end to end, stage by stage, hashing, similar pictures."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import cv2
from rich.console import Console
from rich.progress import track

from deepscreen.detectors.device import plan_compute
from deepscreen.detectors.nets.clip import WEIGHTS_NAME, ClipBackbone
from deepscreen.evaluation import bench_scan as bench
from deepscreen.evaluation.bench_memory import MemoryWatch
from deepscreen.evaluation.bench_report import this_machine
from deepscreen.evaluation.bench_scan_media import file_paths, make_pictures, make_tiny_files
from deepscreen.evaluation.bench_scan_report import ScanReport
from deepscreen.media.samples import Pixels
from deepscreen.screening import ScreeningDesk
from deepscreen.settings import load_settings
from deepscreen.weights.store import WeightsStore


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    pictures: int
    block: int
    files: int
    hashes: int


FULL = Size(pictures=5_000, block=50, files=100_000, hashes=100_000)
QUICK = Size(pictures=4, block=2, files=300, hashes=1_000)


def benchmark(samples: Path, size: Size, precision: str, work: Path, console: Console) -> ScanReport:
    """All figures; *work* is a folder for what is made on the way."""
    settings = load_settings(device="cpu", precision=precision)
    plan = plan_compute("cpu", precision)
    machine = this_machine(has_bf16=plan_compute("cpu", "auto").precision == "bf16")
    stages, cost, peak_bytes = bench.Stages(), bench.Cost(), 0
    with closing(ScreeningDesk.build(settings)) as desk:
        _warm_up(desk, samples, work)
        starts = range(0, size.pictures, size.block)
        for start in track(starts, "pictures", console=console):
            source = work / f"pictures {start}"
            make_pictures(samples, source, range(start, min(size.pictures, start + size.block)))
            with MemoryWatch() as memory:
                cost += bench.scan_cost(source, work / f"scan {start}", desk)
            peak_bytes = max(peak_bytes, memory.peak_tree_bytes)
            bench.add_stages(stages, list(file_paths(source)), work / f"alone {start}", desk)
        make_tiny_files(work / "tiny", size.files)
        hashing = [
            bench.hashing(work / "tiny", work / f"tiny out {from_disk}", desk, from_disk=from_disk)
            for from_disk in (True, False)
        ]
    backbone = ClipBackbone(WeightsStore.from_settings(settings).locate(WEIGHTS_NAME), precision=plan.precision)
    pictures = [_read(path) for path in file_paths(work / "pictures 0")]
    return ScanReport(
        software=f"deepscreen {version('deepscreen')}",
        machine=machine,
        precision=plan.precision,
        pictures=size.pictures,
        block=size.block,
        scan=cost,
        peak_tree_bytes=peak_bytes,
        stages=stages,
        seconds_per_view=bench.forward_seconds_per_view(backbone, pictures),
        hashing=tuple(hashing),
        grouping=bench.grouping(size.hashes),
    )


def _warm_up(desk: ScreeningDesk, samples: Path, work: Path) -> None:
    source = work / "warm up"
    make_pictures(samples, source, range(1_000_000, 1_000_002))
    bench.scan_cost(source, work / "warm up out", desk)


def _read(path: Path) -> Pixels:
    stored = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if stored is None:
        raise ValueError(f"{path}: no picture that OpenCV reads")
    return cv2.cvtColor(stored, cv2.COLOR_BGR2RGB)  # type: ignore[return-value]
