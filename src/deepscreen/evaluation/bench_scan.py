"""What a scan costs: end to end, and each of its stages alone, on the same pictures."""

from __future__ import annotations

import os
import resource
import subprocess
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from deepscreen.detectors.clip_features import CLASS_BLOCKS
from deepscreen.detectors.nets.clip import ClipBackbone, ClipEmbeddings
from deepscreen.detectors.views import whole_view
from deepscreen.evaluation.bench_meter import PassMeter
from deepscreen.evaluation.bench_scan_media import file_paths
from deepscreen.fingerprints.grouping import group_pictures
from deepscreen.fingerprints.pdq import MAX_DISTANCE
from deepscreen.kept import KeptResults
from deepscreen.media.intake import take_in
from deepscreen.scanning.lists import EVIDENCE_NAME, write_page
from deepscreen.scanning.rows import Row
from deepscreen.scanning.run import Progress, ScanOptions, scan
from deepscreen.screening import ScreeningDesk

BATCH_SIZES = (1, 2, 4, 8)
BATCH_VIEWS, BATCH_ROUNDS = 16, 3
NEAR_COPIES = 0.01  # of the hashes: each a few bits from another
SEED = 20261130


@dataclass(slots=True)
class Stages:
    """Seconds that each stage took over ``files`` pictures, one after the other, and how many views CLIP read.

    ``views and heads`` is what the detectors do beside the passes: scaling, masks, heads, maps.
    """

    files: int = 0
    views: dict[int, int] = field(default_factory=lambda: defaultdict(int))  # by the size of their batch
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    cpu_seconds: float = 0.0  # of the program for all of it; decoder processes are not in it


@dataclass(frozen=True, slots=True)
class Cost:
    """Wall time, and processor time of the program (decoder processes are not in it)."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.seconds + other.seconds, self.cpu_seconds + other.cpu_seconds)


@dataclass(frozen=True, slots=True)
class Hashing:
    """Wall and processor time of hashing the same files, by ``sha256sum`` and by a scan."""

    files: int
    plain_seconds: float
    plain_cpu_seconds: float
    scan_seconds: float
    scan_cpu_seconds: float
    from_disk: bool


@dataclass(frozen=True, slots=True)
class Grouping:
    """Processor time of finding near ones among ``hashes``: ``found`` groups, where ``there`` pairs are near."""

    hashes: int
    cpu_seconds: float
    found: int
    there: int


class ViewCount:
    """While it is open, the views that enter the CLIP backbone are counted."""

    def __init__(self, views: dict[int, int]) -> None:
        """``views``: by size of batch; what is seen is added."""
        self._views = views

    def __enter__(self) -> Self:
        self._handle = register_module_forward_pre_hook(self._before_module)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._handle.remove()

    def _before_module(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        if isinstance(module, ClipEmbeddings):
            self._views[len(inputs[0])] += len(inputs[0])


def scan_cost(source: Path, out: Path, desk: ScreeningDesk) -> Cost:
    """From the beginning of the work on the first file until the last is noted; lists and loading are not in it."""
    first, last = [0.0, 0.0], [0.0, 0.0]

    def begun(_: int) -> None:
        first[:] = time.perf_counter(), time.process_time()

    def done(_: Row) -> None:
        last[:] = time.perf_counter(), time.process_time()

    scan(source, out, desk=desk, options=ScanOptions(), progress=Progress(begun=begun, done=done))
    return Cost(last[0] - first[0], last[1] - first[1])


def add_stages(stages: Stages, files: Sequence[Path], out: Path, desk: ScreeningDesk) -> None:
    """Screens the files one after the other, with nothing beside it, and adds what each stage took."""
    kept, seconds = KeptResults(out / EVIDENCE_NAME, desk.provenance), stages.seconds
    cpu_start = time.process_time()
    with PassMeter() as meter, ViewCount(stages.views):
        for path in files:
            start = time.perf_counter()
            intake = take_in(path, limits=desk.settings.limits)
            seconds["hash"] += time.perf_counter() - start
            examination = desk.examine(intake)
            screened = desk.conclude(examination)
            passes = sum(one.seconds for one in meter.take())
            start = time.perf_counter()
            write_page(out, os.fsencode(path.name), screened.screening, screened.thumbnail_jpeg)
            kept.keep(screened)
            seconds["write"] += time.perf_counter() - start
            spent = dict(screened.stage_seconds)
            seconds["forward"] += passes
            seconds["views and heads"] += spent.pop("detect") - passes
            for name, value in spent.items():
                seconds[name] += value
    stages.cpu_seconds += time.process_time() - cpu_start
    stages.files += len(files)


def forward_seconds_per_view(backbone: ClipBackbone, pictures: Sequence[np.ndarray[Any, Any]]) -> dict[int, float]:
    """By size of batch, the quickest of some rounds; rounds of the sizes take turns, so that load hits all alike."""
    views = [whole_view(picture).pixels for picture in pictures[:BATCH_VIEWS]]
    batch = torch.from_numpy(np.stack([views[k % len(views)] for k in range(BATCH_VIEWS)])).permute(0, 3, 1, 2)
    seconds: dict[int, list[float]] = {size: [] for size in BATCH_SIZES}
    for _ in range(BATCH_ROUNDS):
        for size, measured in seconds.items():
            start = time.perf_counter()
            backbone.hidden_states(batch, blocks=CLASS_BLOCKS, at_least=size)
            measured.append((time.perf_counter() - start) / len(batch))
    return {size: min(measured) for size, measured in seconds.items()}


def hashing(source: Path, out: Path, desk: ScreeningDesk, *, from_disk: bool) -> Hashing:
    """A folder of copies: listed, hashed and found to be there already, beside ``find | xargs sha256sum``.

    ``from_disk``: the contents are not in the system's cache, before each of the two; else they are.
    """
    command = f"find '{source}' -type f -print0 | xargs -0 sha256sum"
    prepare = _put_out_of_cache if from_disk else _bring_into_cache
    prepare(source)
    before, start = _children_cpu_seconds(), time.perf_counter()
    listed = subprocess.run(["/bin/sh", "-c", command], check=True, stdout=subprocess.PIPE).stdout
    plain_seconds, plain_cpu_seconds = time.perf_counter() - start, _children_cpu_seconds() - before
    prepare(source)
    ends = [0.0, 0.0]

    def done(_: Row) -> None:
        ends[:] = time.perf_counter(), time.process_time()

    children_before = _children_cpu_seconds()
    start, cpu_start = time.perf_counter(), time.process_time()
    scan(source, out, desk=desk, options=ScanOptions(), progress=Progress(done=done))
    scan_cpu_seconds = ends[1] - cpu_start + _children_cpu_seconds() - children_before  # a process of its own hashes
    return Hashing(listed.count(b"\n"), plain_seconds, plain_cpu_seconds, ends[0] - start, scan_cpu_seconds, from_disk)


def _children_cpu_seconds() -> float:
    """Of those that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _bring_into_cache(source: Path) -> None:
    for path in file_paths(source):
        path.read_bytes()


def _put_out_of_cache(source: Path) -> None:
    os.sync()
    for path in file_paths(source):
        descriptor = os.open(path, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def grouping(count: int) -> Grouping:
    """Hashes of unrelated pictures, some with a near copy that is at most as far as counts."""
    rng = np.random.default_rng(SEED)
    hashes = rng.integers(0, 2**64, (count, 4), np.uint64)
    copies = max(1, int(count * NEAR_COPIES))
    for number in range(copies):
        hashes[number] = hashes[count - 1 - number]
        for bit in rng.choice(256, int(rng.integers(0, MAX_DISTANCE + 1)), replace=False).tolist():
            hashes[number][bit // 64] ^= np.uint64(1 << bit % 64)
    told = [row.tobytes() for row in hashes]
    start = time.process_time()
    groups = group_pictures(told)
    return Grouping(count, time.process_time() - start, len(groups), copies)
