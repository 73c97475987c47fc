"""CUDA against CPU on the sample media, behaviour when GPU memory runs out, images per second and peak memory.

Run by ``make gpu-check``. Without a CUDA device it says "not run" and ends with 0, or with 1 where
DEEPSCREEN_REQUIRE_GPU=1 asks for one.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from deepscreen.detectors.device import CUDA_BATCH
from deepscreen.detectors.nets.clip import WEIGHTS_NAME as CLIP_NAME
from deepscreen.detectors.nets.clip import ClipBackbone, Precision
from deepscreen.media.intake import take_in
from deepscreen.record import CalibratedReading, Screening
from deepscreen.screening import ScreeningDesk
from deepscreen.settings import load_settings
from deepscreen.weights.store import WeightsStore

ROOT = Path(__file__).resolve().parents[1]
STATE_TOLERANCE = 1e-3  # of the largest value: the golden tolerance of the backbones, fp32
LOGIT_TOLERANCE = 0.05  # log-odds, fp32; a verdict's threshold is 2.3
MEMORY_LEFT_BYTES = 320 * 1024 * 1024
TOO_LARGE_BATCH = 128  # its activations need about twice that memory; its result fits twice
ROUNDS = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check."""

    name: str
    passed: bool
    detail: str


def seeded_views(count: int) -> Tensor:
    """(count, 3, 224, 224) uint8 noise, the same each time."""
    return torch.randint(0, 256, (count, 3, 224, 224), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def clip_on(device: str, *, precision: Precision = "fp32", batch_size: int = 1) -> ClipBackbone:
    """The backbone on *device*, from proven weights."""
    weights = WeightsStore.from_settings(load_settings()).locate(CLIP_NAME)
    return ClipBackbone(weights, device=device, precision=precision, batch_size=batch_size)


def compare_states(device: str) -> Finding:
    """All blocks of the CLIP backbone in fp32 against the CPU's."""
    views = seeded_views(4)
    expected = clip_on("cpu").hidden_states(views)
    found = clip_on(device, batch_size=CUDA_BATCH).hidden_states(views)
    errors = [float((f.cpu() - e).abs().max() / e.abs().max()) for f, e in zip(found, expected, strict=True)]
    detail = f"largest difference {max(errors):.1e} of the largest value, allowed {STATE_TOLERANCE:.0e}"
    return Finding("backbone like the CPU's", max(errors) <= STATE_TOLERANCE, detail)


def compare_records(device: str) -> Finding:
    """Every reading of every sample file in fp32 against the CPU's."""
    expected, found = _readings("cpu"), _readings(device)
    if expected.keys() != found.keys():
        odd = sorted(expected.keys() ^ found.keys())
        return Finding("records like the CPU's", False, f"readings on one device only: {odd}")
    worst = max(expected, key=lambda key: abs(expected[key] - found[key]))
    difference = abs(expected[worst] - found[worst])
    detail = (
        f"{len(expected)} readings, largest difference {difference:.3f} ({' '.join(worst)}), allowed {LOGIT_TOLERANCE}"
    )
    return Finding("records like the CPU's", difference <= LOGIT_TOLERANCE, detail)


def _readings(device: str) -> dict[tuple[str, str], float]:
    settings = load_settings(device=device, precision="fp32")
    desk = ScreeningDesk.build(settings)
    try:
        return {
            (str(path.relative_to(ROOT)), reading.detector): reading.spoof_logit
            for path in sorted((ROOT / "sample_media").glob("*/*"))
            for reading in _all_readings(desk.screen(take_in(path, limits=settings.limits)).screening)
        }
    finally:
        desk.close()


def _all_readings(screening: Screening) -> Iterator[CalibratedReading]:
    for result in screening.modalities.values():
        yield from result.readings


def share_batches(device: str) -> Finding:
    """Views that several threads ask for at once must have the bits that they have alone."""
    backbone = clip_on(device, precision="bf16", batch_size=CUDA_BATCH)
    views = seeded_views(24)
    asked = [views[start:stop] for start, stop in pairwise((0, 1, 4, 6, 10, 11, 17, 19, 24))]
    alone = [backbone.hidden_states(some, blocks=[12])[0] for some in asked]
    with ThreadPoolExecutor(len(asked)) as threads:
        together = list(threads.map(lambda some: backbone.hidden_states(some, blocks=[12])[0], asked))
    is_same = all(torch.equal(one, other) for one, other in zip(alone, together, strict=True))
    how = "files share batches" if backbone.shares_batches else "a view's place matters here: files run alone"
    return Finding("views of several files", is_same, how)


def survive_low_memory(device: str) -> Finding:
    """A batch that does not fit must be worked on in smaller ones, with the same numbers."""
    views = seeded_views(TOO_LARGE_BATCH)
    expected = clip_on(device, precision="bf16", batch_size=8).hidden_states(views, blocks=[12])[0].cpu()
    backbone = clip_on(device, precision="bf16", batch_size=TOO_LARGE_BATCH)
    with _little_memory(device):
        try:
            found = backbone.hidden_states(views, blocks=[12])[0].cpu()
        except torch.OutOfMemoryError as error:
            return Finding("batch size backs off", False, f"out of memory reached the caller: {error}")
    likeness = float(torch.cosine_similarity(found.flatten(), expected.flatten(), dim=0))
    return Finding("batch size backs off", likeness > 0.999, f"batch of {TOO_LARGE_BATCH}, cosine {likeness:.6f}")


@contextmanager
def _little_memory(device: str) -> Iterator[None]:
    """Lets the process have only MEMORY_LEFT_BYTES beyond what it holds now."""
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(device).total_memory
    wanted = torch.cuda.memory_reserved(device) + MEMORY_LEFT_BYTES
    torch.cuda.set_per_process_memory_fraction(min(1.0, wanted / total), device)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)


def measure(device: str) -> Finding:
    """Images per second of the backbone in bf16, and the peak of device memory. Never fails: a figure, not a bar."""
    backbone = clip_on(device, precision="bf16", batch_size=CUDA_BATCH)
    views = seeded_views(CUDA_BATCH).to(device)
    backbone.hidden_states(views)
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    start = time.perf_counter()
    for _ in range(ROUNDS):
        backbone.hidden_states(views)
    torch.cuda.synchronize(device)
    rate = ROUNDS * CUDA_BATCH / (time.perf_counter() - start)
    peak_mib = torch.cuda.max_memory_allocated(device) / 2**20
    detail = f"{rate:.0f} views/s in bf16, batch {CUDA_BATCH}, peak {peak_mib:.0f} MiB"
    return Finding("throughput", True, detail)


CHECKS: tuple[Callable[[str], Finding], ...] = (
    compare_states,
    compare_records,
    share_batches,
    survive_low_memory,
    measure,
)


def main() -> int:
    """Runs all checks; 0 where all passed."""
    if not torch.cuda.is_available():
        sys.stdout.write("gpu-check: not run (no CUDA device)\n")
        return 1 if os.environ.get("DEEPSCREEN_REQUIRE_GPU") == "1" else 0
    device = "cuda:0"
    sys.stdout.write(f"gpu-check: {torch.cuda.get_device_name(device)}, torch {torch.__version__}\n")
    findings = []
    for check in CHECKS:
        findings.append(check(device))
        outcome = "passed" if findings[-1].passed else "FAILED"
        sys.stdout.write(f"{outcome:7} {findings[-1].name}: {findings[-1].detail}\n")
        sys.stdout.flush()
    return 0 if all(finding.passed for finding in findings) else 1


if __name__ == "__main__":
    raise SystemExit(main())
