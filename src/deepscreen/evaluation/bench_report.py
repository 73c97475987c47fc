"""The benchmark's report: the machine, the figures with their targets, and where a picture's time goes."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from deepscreen.evaluation.bench_figures import Figure, Stage

JSON_NAME, MARKDOWN_NAME = "benchmark.json", "benchmark.md"
# Load of the last minute, a core, above which something else was running when the benchmark began.
QUIET_LOAD_PER_CORE = 0.25
GIB = 1024**3
DECIMALS = 4


@dataclass(frozen=True, slots=True)
class Machine:
    """What the figures were measured on. ``load_average``: of the last minute, before anything was measured."""

    processor: str
    cores: int
    memory_gib: float
    has_bf16: bool
    system: str
    python: str
    torch: str
    load_average: float

    @property
    def is_quiet(self) -> bool:
        return self.load_average <= QUIET_LOAD_PER_CORE * self.cores


@dataclass(frozen=True, slots=True)
class Report:
    """All figures of one benchmark."""

    software: str
    machine: Machine
    precision: str
    is_quick: bool
    figures: tuple[Figure, ...]
    stages: tuple[Stage, ...]


def this_machine(*, has_bf16: bool) -> Machine:
    """Facts about the machine as they are now; call it before anything is measured."""
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Machine(
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)),
        memory_gib=round(memory_bytes / GIB, 1),
        has_bf16=has_bf16,
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        torch=version("torch"),
        load_average=round(os.getloadavg()[0], 2),
    )


def as_json(report: Report) -> str:
    """The report with the outcome of each figure, as indented JSON."""
    data = asdict(report)
    data["machine"]["is_quiet"] = report.machine.is_quiet
    data["figures"] = [_rounded({**asdict(figure), "outcome": figure.outcome}) for figure in report.figures]
    data["stages"] = [_rounded(asdict(stage)) for stage in report.stages]
    return json.dumps(data, indent=1) + "\n"


def as_markdown(report: Report) -> str:
    """The report as a page."""
    parts = [
        _HEAD,
        *_warnings(report),
        _machine_lines(report),
        _figure_table(report.figures),
        _stage_table(report.stages),
    ]
    return "\n\n".join(parts) + "\n"


def write_report(report: Report, folder: Path) -> tuple[Path, Path]:
    """Writes benchmark.json and benchmark.md into *folder*, which is made where it is missing; gives their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    json_path, markdown_path = folder / JSON_NAME, folder / MARKDOWN_NAME
    json_path.write_text(as_json(report), encoding="utf-8")
    markdown_path.write_text(as_markdown(report), encoding="utf-8")
    return json_path, markdown_path


_HEAD = """# Benchmark

Written by `make bench`; do not edit. Each file is screened in a process of its own that has screened another file
before, so networks are loaded and warm. Times run from the file on the disk to the record and the evidence on the disk.
Backbone time is the wall time of the passes through CLIP and Whisper, as PyTorch's module hooks see them begin and end;
it is measured within the same runs, so whatever disturbs the passes is in it too. Backward passes are those of the
saliency of sound. Memory is `VmHWM` of the process that screens; 1 GB = 10^9 bytes."""


def _warnings(report: Report) -> list[str]:
    machine, warnings = report.machine, []
    if report.is_quick:
        warnings.append("**A quick run on shorter files, to see that the benchmark works: nothing is judged.**")
    if not machine.is_quiet:
        warnings.append(
            f"**The machine was not quiet: load average {machine.load_average:.2f} on {machine.cores} cores before the "
            "benchmark began. Times measured like this say little; run it again with nothing else running.**"
        )
    if report.precision != "bf16":
        warnings.append(f"The networks ran in {report.precision}: the time of a picture is reported and not judged.")
    return warnings


def _machine_lines(report: Report) -> str:
    m = report.machine
    bf16 = "with" if m.has_bf16 else "without"
    return (
        f"- {m.processor}, {m.cores} cores, {m.memory_gib:g} GiB, {bf16} fast bf16; {m.system}\n"
        f"- {report.software}, Python {m.python}, torch {m.torch}; networks on the CPU in {report.precision}\n"
        f"- load average before the benchmark: {m.load_average:.2f}"
    )


def _figure_table(figures: Sequence[Figure]) -> str:
    lines = [
        "## Figures\n",
        "| figure | target | measured | | detail | load |",
        "|---|---:|---:|---|---|---:|",
    ]
    for f in figures:
        cells = (
            f.name,
            f"≤ {f.limit:g} {f.unit}",
            f"{f.value:.3g} {f.unit}",
            f.outcome,
            f.detail,
            f"{f.load_average:.2f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    lines.append(
        "\nLoad: load average of the last minute when that measurement began; the benchmark's own work is in it."
    )
    return "\n".join(lines)


def _stage_table(stages: Sequence[Stage]) -> str:
    lines = ["## Where a 12-megapixel picture's time goes\n", "| stage | ms (median) | what |", "|---|---:|---|"]
    lines.extend(f"| {stage.name} | {stage.seconds * 1000:.1f} | {stage.detail} |" for stage in stages)
    return "\n".join(lines)


def _rounded(values: dict[str, object]) -> dict[str, object]:
    return {name: round(value, DECIMALS) if isinstance(value, float) else value for name, value in values.items()}


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found.group(1).strip() if found else platform.processor() or "unknown processor"
