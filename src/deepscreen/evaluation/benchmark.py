"""``make bench``: measures the promised figures on this machine, prints them, and writes ``docs/benchmark.*``.

Run it with nothing else running: the load average is printed beside each figure.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
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

PORTRAIT = "bona_fide/portrait_hopper.jpg"
SPEECH = ("bona_fide/reading.flac", "bona_fide/prompt.opus")


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
class Files:
    """What is screened."""

    portrait: Path  # the warm-up
    photograph: Path
    clip: Path
    long_clip: Path
    speech: Path


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
        files = _make_files(samples, Path(folder), size, steps)
        starts = _start_figures(size, plan.precision, steps)
        picture = _measure(files, files.photograph, size.picture_runs, plan.precision, steps, "12-megapixel picture")
        clip = _measure(files, files.clip, size.clip_runs, plan.precision, steps, f"{size.clip_seconds} s clip")
        long_clip = _measure(files, files.long_clip, 1, plan.precision, steps, size.long_clip_name)
        speech = _measure(
            files, files.speech, size.speech_runs, plan.precision, steps, f"{size.speech_seconds} s of speech"
        )
    clip_name = f"{size.clip_seconds} s 720p clip with sound"
    figures = (
        *picture_figures(picture, is_bf16=plan.precision == "bf16"),
        ratio_figure(clip_name, clip),
        *memory_figures(clip, long_clip, short_name=clip_name, long_name=size.long_clip_name),
        ratio_figure(f"{size.speech_seconds} s of speech", speech),
        *starts,
    )
    software = f"deepscreen {version('deepscreen')}"
    judged = tuple(_unjudged(f) for f in figures) if is_quick else figures
    return Report(software, machine, plan.precision, is_quick, judged, picture_stages(picture.runs))


def _make_files(samples: Path, folder: Path, size: Size, steps: Steps) -> Files:
    portrait, speech = samples / PORTRAIT, [samples / name for name in SPEECH]
    for path in (portrait, *speech):
        if not path.is_file():
            raise ConfigError(f"{path}: not there; run it in the checkout, or name the folder with --samples")
    files = Files(portrait, *(folder / name for name in ("photograph.jpg", "clip.mp4", "long.mp4", "speech.flac")))
    steps.begin("making the files")
    media.make_photograph(portrait, files.photograph)
    media.make_clip(portrait, speech, files.clip, seconds=size.clip_seconds)
    media.make_looped(files.clip, files.long_clip, times=size.loops)
    media.make_speech(speech, files.speech, seconds=size.speech_seconds)
    steps.advance(size.clip_seconds)
    return files


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


def _measure(files: Files, path: Path, runs: int, precision: str, steps: Steps, what: str) -> Measured:
    load = steps.begin(what)
    # The other modalities' warm-up would only cost time; a clip also hears, so it is warmed up by a clip.
    warm_up = {files.speech: files.speech, files.photograph: files.portrait}.get(path, files.clip)
    command = [sys.executable, "-m", "deepscreen.evaluation.bench_run", str(path), "--runs", str(runs)]
    command += ["--warm-up", str(warm_up), "--precision", precision]
    measured = []
    for run in _runs(command):
        measured.append(run)
        steps.advance(run.seconds)
    return Measured(tuple(measured), load)


def _runs(command: Sequence[str]) -> Iterator[Run]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield from map(Run.from_json, process.stdout or ())
    if process.returncode != 0:
        raise ConfigError(f"the measured program ended with exit code {process.returncode}; its words are above")


def _expected_seconds(size: Size) -> float:
    """What the steps advance by in all, on two quiet cores."""
    starts = (MAX_IMPORT_SECONDS + MAX_HELP_SECONDS + MAX_READY_SECONDS) * (size.starts + 1) / 2
    clips = (size.clip_runs + 1) * 10.0
    return size.clip_seconds + starts + size.picture_runs + clips + 5.0 * size.speech_runs


def _unjudged(figure: Figure) -> Figure:
    return Figure(
        figure.name, figure.value, figure.limit, figure.unit, figure.detail, figure.load_average, is_judged=False
    )


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
