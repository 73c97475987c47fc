"""From measured runs to figures: a target, what was measured, and whether that meets it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from deepscreen.evaluation.bench_meter import Direction
from deepscreen.evaluation.bench_run import Run

MAX_PICTURE_SECONDS = 0.9
MAX_PICTURE_OVERHEAD_SECONDS = 0.3
MAX_BACKBONE_RATIO = 1.35
MAX_PEAK_GB = 2.5
# "Flat": the evenly spread sound windows of a long track (120 of 3 s) and allocator slack, but nothing that grows on.
MAX_GROWTH_MB = 150.0
MAX_IMPORT_SECONDS = 0.5
MAX_HELP_SECONDS = 1.0
MAX_READY_SECONDS = 15.0
FACE_DETECTOR, CLIP_DETECTOR, SOUND_DETECTOR = "face_clip", "video_clip", "audio_whisper"
GB, MB = 1e9, 1e6

Outcome = Literal["met", "missed", "not judged"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One promised figure. ``value`` and ``limit`` in ``unit``; met when the value is not above the limit."""

    name: str
    value: float
    limit: float
    unit: str
    detail: str
    load_average: float  # of the last minute when the measurement began
    is_judged: bool = True

    @property
    def outcome(self) -> Outcome:
        if not self.is_judged:
            return "not judged"
        return "met" if self.value <= self.limit else "missed"


@dataclass(frozen=True, slots=True)
class Stage:
    """Median time of one stage of a picture's screening, and what it holds."""

    name: str
    seconds: float
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Measured:
    """The runs of one file, and the load average when they began."""

    runs: tuple[Run, ...]
    load_average: float


def forward_seconds(run: Run) -> float:
    """All forward passes of the backbones."""
    return _pass_seconds(run, "forward")


def backbone_seconds(run: Run) -> float:
    """All passes of the backbones: forward, and backward where sound is explained by gradients."""
    return forward_seconds(run) + _pass_seconds(run, "backward")


def picture_figures(measured: Measured, *, is_bf16: bool) -> tuple[Figure, ...]:
    """Overhead beside the forward passes, and the median time; raises ValueError unless one face was scored."""
    runs = measured.runs
    faces = {d.n_samples for run in runs for d in run.detectors if d.detector == FACE_DETECTOR}
    if faces != {1}:
        raise ValueError(f"the benchmark's photograph must have one face that is scored, got {sorted(faces)}")
    totals, forwards = [run.seconds for run in runs], [forward_seconds(run) for run in runs]
    overhead = median(total - forward for total, forward in zip(totals, forwards, strict=True))
    views = sum(len(d.pass_seconds("forward")) for d in runs[0].detectors)
    detail = f"median of {len(runs)} runs, {min(totals):.3f} to {max(totals):.3f} s"
    beside = f"{median(totals):.3f} s in all, {median(forwards):.3f} s in {views} forward passes"
    load = measured.load_average
    return (
        Figure("12-megapixel JPEG, one face: overhead", overhead, MAX_PICTURE_OVERHEAD_SECONDS, "s", beside, load),
        Figure("12-megapixel JPEG, one face: p50", median(totals), MAX_PICTURE_SECONDS, "s", detail, load, is_bf16),
    )


def picture_stages(runs: Sequence[Run]) -> tuple[Stage, ...]:
    """Where a picture's time goes; the parts of a run add up to it, medians nearly do.

    Of a picture detector's passes the first ``n_samples`` score its views; those after it are the faithfulness check.
    """
    scoring = [[s for d in run.detectors for s in d.pass_seconds("forward")[: d.n_samples]] for run in runs]
    checking = [[s for d in run.detectors for s in d.pass_seconds("forward")[d.n_samples :]] for run in runs]
    in_passes = [sum(a) + sum(b) for a, b in zip(scoring, checking, strict=True)]
    named = [sum(run.stage_seconds.values()) for run in runs]
    desk = {name: median(run.stage_seconds.get(name, 0.0) for run in runs) for name in runs[0].stage_seconds}
    around = median(run.stage_seconds["detect"] - spent for run, spent in zip(runs, in_passes, strict=True))
    return (
        Stage("hash", desk["hash"], "the file is read once"),
        Stage("decode", desk["decode"], "in the confined process, and handed over"),
        Stage("faces", desk["faces"], "found on the picture at 640 px"),
        Stage("forward", median(map(sum, scoring)), f"{len(scoring[0])} views scored"),
        Stage("faithfulness", median(map(sum, checking)), f"{len(checking[0])} masked views"),
        Stage("views and heads", around, "resizing, face crops, masks, linear heads"),
        Stage("render", desk["render"], "overlays as PNG, thumbnail"),
        Stage("write", desk["write"], "canonical record and evidence, to files"),
        Stage("other", median(run.seconds - known for run, known in zip(runs, named, strict=True)), "record, verdict"),
    )


def ratio_figure(name: str, measured: Measured) -> Figure:
    """End-to-end time over backbone time, in the median run."""
    ratios = sorted((run.seconds / backbone_seconds(run), k) for k, run in enumerate(measured.runs))
    ratio, index = ratios[(len(ratios) - 1) // 2]
    run = measured.runs[index]
    forward = [s for d in run.detectors for s in d.pass_seconds("forward")]
    backward = [s for d in run.detectors for s in d.pass_seconds("backward")]
    detail = f"{run.seconds:.2f} s in all; {len(forward)} forward passes {sum(forward):.2f} s"
    if backward:
        detail += f", {len(backward)} backward passes {sum(backward):.2f} s"
        detail += f"; {run.seconds / sum(forward):.2f} x the forward passes alone"
    return Figure(name, ratio, MAX_BACKBONE_RATIO, "x backbone time", detail, measured.load_average)


def memory_figures(short: Measured, long: Measured, *, short_name: str, long_name: str) -> tuple[Figure, Figure]:
    """Peak memory with a short clip, and how much more a long one takes; each was screened in a process of its own.

    The peak of the process itself is reached while the weights are loaded and proven; the growth is therefore taken of
    what was resident while the clip was screened.
    """
    own, longer = short.runs[-1], long.runs[-1]
    growth = longer.peak_tree_bytes - own.peak_tree_bytes
    growth_detail = (
        f"most while screening, decoder processes included: {longer.peak_tree_bytes / GB:.2f} GB beside "
        f"{own.peak_tree_bytes / GB:.2f} GB; of the process itself since its start: "
        f"{longer.peak_bytes / GB:.2f} beside {own.peak_bytes / GB:.2f} GB; {longer.seconds:.1f} s in all"
    )
    detail = (
        f"of the process since its start; while screening, decoder processes included: "
        f"{own.peak_tree_bytes / GB:.2f} GB (shared pages counted twice)"
    )
    return (
        Figure(f"{short_name}: peak memory", own.peak_bytes / GB, MAX_PEAK_GB, "GB", detail, short.load_average),
        Figure(f"{long_name}: more than that", growth / MB, MAX_GROWTH_MB, "MB", growth_detail, long.load_average),
    )


def start_figure(name: str, seconds: Sequence[float], limit: float, load_average: float) -> Figure:
    """The median of several starts."""
    detail = f"median of {len(seconds)}, {min(seconds):.2f} to {max(seconds):.2f} s"
    return Figure(name, median(seconds), limit, "s", detail, load_average)


def _pass_seconds(run: Run, direction: Direction) -> float:
    return sum(second for d in run.detectors for second in d.pass_seconds(direction))
