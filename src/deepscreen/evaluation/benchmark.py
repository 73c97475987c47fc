"""``make bench``: measures the promised figures on this machine, prints them, and writes ``docs/benchmark.*``.

Run it with nothing else running: the load average is printed beside each figure.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.markdown import Markdown
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from deepscreen.detectors.device import plan_compute
from deepscreen.errors import ConfigError, DeepscreenError
from deepscreen.evaluation import bench_media as media
from deepscreen.evaluation.bench_figures import (
    MAX_HELP_SECONDS,
    MAX_IMPORT_SECONDS,
    MAX_READY_SECONDS,
    Figure,
    Measured,
    memory_figures,
    picture_figures,
    picture_stages,
    ratio_figure,
    start_figure,
)
from deepscreen.evaluation.bench_report import Report, as_markdown, this_machine, write_report
from deepscreen.evaluation.bench_run import Run
from deepscreen.evaluation.bench_startup import help_seconds, import_seconds, service_ready_seconds
from deepscreen.process import settle_in

PORTRAIT = "bona_fide/portrait_hopper.jpg"
PHOTOGRAPHED = "bona_fide/portrait_collins.png"  # both of its heatmaps beat random, and so are drawn and timed
SPEECH = ("bona_fide/reading.flac", "bona_fide/prompt.opus")
# What a run takes about on two quiet cores, for the progress bar only.
PICTURE_SECONDS, CLIP_SECONDS, SPEECH_SECONDS = 1.0, 12.0, 6.0


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    picture_runs: int
    clip_runs: int
    speech_runs: int
    starts: int
    clip_seconds: int
    loops: int
    speech_seconds: int

    @property
    def long_clip_name(self) -> str:
        seconds = self.clip_seconds * self.loops
        return f"{seconds // 60} min clip" if seconds >= 60 else f"{seconds} s clip"


FULL = Size(picture_runs=10, clip_runs=3, speech_runs=5, starts=5, clip_seconds=20, loops=60, speech_seconds=60)
QUICK = Size(picture_runs=2, clip_runs=1, speech_runs=1, starts=1, clip_seconds=2, loops=3, speech_seconds=6)


@dataclass(frozen=True, slots=True)
class Subject:
    """A file that is screened ``runs`` times, after ``warm_up``; a run takes about ``run_seconds``."""

    name: str
    file: Path
    warm_up: Path
    runs: int
    run_seconds: float


class Steps:
    """The benchmark's steps on a progress bar; a step counts by the seconds that it takes about."""

    def __init__(self, progress: Progress, total_seconds: float) -> None:
        self._progress = progress
        self._task = progress.add_task("benchmark", total=total_seconds)

    def begin(self, what: str) -> float:
        """Names the step and gives the load average at its start."""
        self._progress.update(self._task, description=what)
        return round(os.getloadavg()[0], 2)

    def advance(self, seconds: float) -> None:
        """So much is done."""
        self._progress.advance(self._task, seconds)


def benchmark(samples: Path, size: Size, precision: str, *, is_quick: bool, console: Console) -> Report:
    """All figures. *samples*: the folder ``sample_media``. Raises ConfigError or what a measured program raised."""
    plan = plan_compute("cpu", precision)
    machine = this_machine(has_bf16=plan_compute("cpu", "auto").precision == "bf16")
    with TemporaryDirectory(prefix="deepscreen-bench-") as folder, _progress(console) as progress:
        steps = Steps(progress, _expected_seconds(size))
        subjects = _make_subjects(samples, Path(folder), size, steps)
        starts = _start_figures(size, plan.precision, steps)
        picture, clip, long_clip, speech = (_measure(subject, plan.precision, steps) for subject in subjects)
    clip_name = f"{size.clip_seconds} s 720p clip with sound"
    figures = (
        *picture_figures(picture, is_bf16=plan.precision == "bf16"),
        ratio_figure(clip_name, clip),
        *memory_figures(clip, long_clip, short_name=clip_name, long_name=size.long_clip_name),
        ratio_figure(f"{size.speech_seconds} s of speech", speech),
        *starts,
    )
    software = f"deepscreen {version('deepscreen')}"
    judged = tuple(replace(figure, is_judged=False) for figure in figures) if is_quick else figures
    return Report(software, machine, plan.precision, is_quick, judged, picture_stages(picture.runs))


def _make_subjects(samples: Path, folder: Path, size: Size, steps: Steps) -> tuple[Subject, ...]:
    """Makes the files; gives picture, clip, long clip and speech. A clip also hears, so it is warmed up by a clip."""
    portrait, photographed, *spoken = (samples / name for name in (PORTRAIT, PHOTOGRAPHED, *SPEECH))
    for path in (portrait, photographed, *spoken):
        if not path.is_file():
            raise ConfigError(f"{path}: not there; run it in the checkout, or name the folder with --samples")
    photograph, clip, long_clip, speech = (
        folder / n for n in ("photograph.jpg", "clip.mp4", "long.mp4", "speech.flac")
    )
    steps.begin("making the files")
    media.make_photograph(photographed, photograph)
    media.make_clip(portrait, spoken, clip, seconds=size.clip_seconds)
    media.make_looped(clip, long_clip, times=size.loops)
    media.make_speech(spoken, speech, seconds=size.speech_seconds)
    steps.advance(size.clip_seconds)
    return (
        Subject("12-megapixel picture", photograph, portrait, size.picture_runs, PICTURE_SECONDS),
        Subject(f"{size.clip_seconds} s clip", clip, clip, size.clip_runs, CLIP_SECONDS),
        Subject(size.long_clip_name, long_clip, clip, 1, CLIP_SECONDS),
        Subject(f"{size.speech_seconds} s of speech", speech, speech, size.speech_runs, SPEECH_SECONDS),
    )


def _start_figures(size: Size, precision: str, steps: Steps) -> tuple[Figure, ...]:
    measured = []
    rows: tuple[tuple[str, Callable[[], float], float], ...] = (
        ("import deepscreen", import_seconds, MAX_IMPORT_SECONDS),
        ("deepscreen --help", help_seconds, MAX_HELP_SECONDS),
        ("service ready", lambda: service_ready_seconds(precision), MAX_READY_SECONDS),
    )
    for name, seconds_of, limit in rows:
        load = steps.begin(name)
        seconds_of()  # brings the files into the page cache
        measured.append(start_figure(name, [seconds_of() for _ in range(size.starts)], limit, load))
        steps.advance(limit * (size.starts + 1) / 2)
    return tuple(measured)


def _measure(subject: Subject, precision: str, steps: Steps) -> Measured:
    load = steps.begin(subject.name)
    command = [sys.executable, "-m", "deepscreen.evaluation.bench_run", str(subject.file), "--runs", str(subject.runs)]
    command += ["--warm-up", str(subject.warm_up), "--precision", precision]
    measured = []
    for run in _runs(command):
        measured.append(run)
        steps.advance(subject.run_seconds)
    return Measured(tuple(measured), load)


def _runs(command: Sequence[str]) -> Iterator[Run]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield from map(Run.from_json, process.stdout or ())
    if process.returncode != 0:
        raise ConfigError(f"the measured program ended with exit code {process.returncode}; its words are above")


def _expected_seconds(size: Size) -> float:
    """What the steps advance by in all."""
    starts = (MAX_IMPORT_SECONDS + MAX_HELP_SECONDS + MAX_READY_SECONDS) * (size.starts + 1) / 2
    pictures, clips = size.picture_runs * PICTURE_SECONDS, (size.clip_runs + 1) * CLIP_SECONDS
    return size.clip_seconds + starts + pictures + clips + size.speech_runs * SPEECH_SECONDS


def _progress(console: Console) -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; exit code 0 when all was measured, 1 when it could not be. A missed target is not an error here."""
    settle_in()  # the measured programs inherit it
    parser = argparse.ArgumentParser(prog="python -m deepscreen.evaluation.benchmark", description=__doc__)
    parser.add_argument("--samples", type=Path, default=Path("sample_media"))
    parser.add_argument(
        "--out", type=Path, help="folder for benchmark.json and benchmark.md (default: docs; quick: none)"
    )
    parser.add_argument("--precision", default="auto", choices=("auto", "bf16", "fp32"))
    parser.add_argument("--quick", action="store_true", help="short files and single runs, to see that all of it works")
    options = parser.parse_args(arguments)
    out = options.out or (None if options.quick else Path("docs"))
    try:
        size = QUICK if options.quick else FULL
        console = Console(stderr=True)
        report = benchmark(options.samples, size, options.precision, is_quick=options.quick, console=console)
    except DeepscreenError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    Console().print(Markdown(as_markdown(report)))
    if out is not None:
        Console().print("written:", *map(str, write_report(report, out)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
