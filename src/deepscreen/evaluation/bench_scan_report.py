"""The page of the benchmark of scans: what was reached, beside what the stages alone allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deepscreen.evaluation.bench_report import Machine
from deepscreen.evaluation.bench_scan import Cost, Grouping, Hashing, Stages

# What the target names; the rest is work of the scan that it does not allow for.
COUNTED = ("hash", "decode", "faces", "forward", "views and heads", "render", "write")
WHAT = {
    "hash": "the file is read once",
    "decode": "in the confined process, and handed over",
    "inspect": "findings on metadata and structure, in another confined process",
    "fingerprint": "PDQ, for similar files",
    "faces": "found at 640 px",
    "forward": "passes through CLIP, in the batches of the method",
    "views and heads": "scaling, masks, heads, maps",
    "render": "evidence pictures as PNG, thumbnail",
    "write": "record, pictures and page of each content",
}
MIN_RATE_SHARE, MIN_HASH_SHARE = 0.85, 0.7
GB = 1e9


@dataclass(frozen=True, slots=True)
class ScanReport:
    """All that was measured."""

    software: str
    machine: Machine
    precision: str
    pictures: int
    block: int
    scan: Cost
    peak_tree_bytes: int
    stages: Stages
    seconds_per_view: Mapping[int, float]
    hashing: tuple[Hashing, ...]
    grouping: Grouping


def as_markdown(report: ScanReport) -> str:
    """The page."""
    parts = (_head(report), _rate(report), _stages(report), _batches(report), _hashing(report.hashing))
    return "\n\n".join((*parts, _grouping(report.grouping))) + "\n"


def counted_seconds(stages: Stages) -> float:
    """Of the stages that the target names, for one picture."""
    return sum(stages.seconds[name] for name in COUNTED) / stages.files


def batched_seconds(report: ScanReport) -> float:
    """The same with every view in batches of the quickest size, whosever they are: what filling batches could give.

    Passes are scaled by what the sizes of batches cost beside each other, for those were measured in turns.
    """
    s, per_view = report.stages, report.seconds_per_view
    as_it_is = sum(count * per_view[size] for size, count in s.views.items()) or 1.0
    quickest = sum(s.views.values()) * min(per_view.values())
    return counted_seconds(s) - s.seconds["forward"] * (1 - min(1.0, quickest / as_it_is)) / s.files


def _head(report: ScanReport) -> str:
    m = report.machine
    noise = (
        ""
        if m.is_quiet
        else (
            "\n\n**The machine was not quiet: other work ran beside it. Wall times and their shares say little then: "
            "who asks for more cores gets more of them. Processor times still say something.**"
        )
    )
    return (
        "# Benchmark of scans\n\n"
        "Written by `make bench-scan`; do not edit. Small JPEGs that all differ, made from `sample_media/`, 320 to "
        f"640 pixels a side. Blocks of {report.block} pictures are scanned, and then screened one after the other with "
        "each stage timed alone, in turns.\n\n"
        f"- {m.processor}, {m.cores} cores, {m.memory_gib:g} GiB, {'with' if m.has_bf16 else 'without'} fast bf16; "
        f"{m.system}\n"
        f"- {report.software}, Python {m.python}, torch {m.torch}; networks on the CPU in {report.precision}\n"
        f"- load average before the benchmark: {m.load_average:.2f}{noise}"
    )


def _rate(report: ScanReport) -> str:
    reached = report.pictures / report.scan.seconds
    alone, batched = 1 / counted_seconds(report.stages), 1 / batched_seconds(report)
    scan_cpu = report.scan.cpu_seconds / report.pictures
    alone_cpu = report.stages.cpu_seconds / report.stages.files
    views = sum(report.stages.views.values()) / report.stages.files
    return (
        f"## {report.pictures} pictures\n\n"
        "| | |\n|---|---:|\n"
        f"| end to end | {reached:.2f} pictures/s |\n"
        f"| what the stages alone allow, one after the other | {alone:.2f} pictures/s |\n"
        f"| share of that (target: at least {MIN_RATE_SHARE}) | {reached / alone:.2f} |\n"
        f"| the same if all views came in the quickest batches | {batched:.2f} pictures/s |\n"
        f"| share of that | {reached / batched:.2f} |\n"
        f"| processor time of the program, end to end | {scan_cpu * 1000:.0f} ms a picture |\n"
        f"| the same, one after the other | {alone_cpu * 1000:.0f} ms a picture |\n"
        f"| views through the backbone | {views:.1f} a picture |\n"
        f"| most memory, decoder processes included | {report.peak_tree_bytes / GB:.2f} GB (target: at most 3) |"
    )


def _stages(report: ScanReport) -> str:
    s = report.stages
    lines = ["## The stages alone\n", "| stage | ms a picture | counted | what |", "|---|---:|---|---|"]
    for name, what in WHAT.items():
        is_counted = "yes" if name in COUNTED else "no"
        lines.append(f"| {name} | {s.seconds[name] / s.files * 1000:.1f} | {is_counted} | {what} |")
    return "\n".join(lines)


def _batches(report: ScanReport) -> str:
    lines = ["## Batches\n", "| views a batch | ms a view |", "|---:|---:|"]
    lines.extend(f"| {size} | {seconds * 1000:.1f} |" for size, seconds in report.seconds_per_view.items())
    return "\n".join(lines)


def _hashing(measured: Sequence[Hashing]) -> str:
    lines = [
        f"## {measured[0].files:,} files of 1 to 4 kB, nearly all copies\n",
        "| contents | | wall time | processor time of the program |\n|---|---|---:|---:|",
    ]
    for h in measured:
        where = "on the disk" if h.from_disk else "in the system's cache"
        share, cpu_share = h.plain_seconds / h.scan_seconds, h.plain_cpu_seconds / h.scan_cpu_seconds
        lines += [
            f"| {where} | `find -type f -print0 \\| xargs -0 sha256sum` | {h.plain_seconds:.1f} s "
            f"| {h.plain_cpu_seconds:.1f} s |",
            f"| | scan: listed, hashed, known as copies, noted | {h.scan_seconds:.1f} s | {h.scan_cpu_seconds:.1f} s |",
            f"| | share (target: at least {MIN_HASH_SHARE}) | {share:.2f} | {cpu_share:.2f} |",
        ]
    return "\n".join([*lines, "\nFiles of 512 KiB: see [faults.md](faults.md)."])


def _grouping(g: Grouping) -> str:
    return (
        f"## Similar pictures among {g.hashes:,}\n\n"
        f"{g.cpu_seconds:.1f} s of processor time; {g.found} of {g.there} near pairs found, and no others."
    )
