"""Cases for judging timelines: minute-long hosts as they are, and with one manipulated second, kept in a folder."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepscreen.evaluation.span_hosts import Footage, Host, file_name, hosts_of, write_spliced, write_twin
from deepscreen.evaluation.span_makers import seconds_of
from deepscreen.faces import FaceLocator
from deepscreen.training.labelled import LabelledFile

UNTOUCHED = "untouched"
VERSION = 1  # of what is made: another one makes everything anew


@dataclass(frozen=True, slots=True)
class SpanCase:
    """One made clip. ``maker``: UNTOUCHED, or what was done to [start_seconds, end_seconds) of it."""

    file: str
    host: str
    source: str
    fold: int
    maker: str
    system: str
    start_seconds: float
    end_seconds: float

    @property
    def is_untouched(self) -> bool:
        """Whether every span in it is a false one."""
        return self.maker == UNTOUCHED


def made_cases(
    clips: Sequence[LabelledFile], folds: NDArray[np.int64], locator: FaceLocator, folder: Path
) -> Iterator[SpanCase]:
    """All cases of the hosts of *clips*, host by host; their files lie in *folder*. What was made before is kept."""
    folder.mkdir(parents=True, exist_ok=True)
    for host in hosts_of(clips, folds):
        index = folder / file_name(VERSION, host.name, *(clip.key for clip in host.clips)).replace(".mp4", ".json")
        if not index.exists():
            spoofs = [clip for clip, fold in zip(clips, folds, strict=True) if clip.label == 1 and fold == host.fold]
            rows = [asdict(case) for case in _made(host, spoofs, locator, folder)]
            index.write_text(json.dumps(rows), encoding="utf-8")
        yield from (SpanCase(**row) for row in json.loads(index.read_text(encoding="utf-8")))


def _made(host: Host, spoofs: Sequence[LabelledFile], locator: FaceLocator, folder: Path) -> Iterator[SpanCase]:
    footage = Footage.of(host)
    if footage is None:
        return
    twin = folder / file_name(VERSION, host.name, UNTOUCHED)
    write_twin(twin, footage)
    yield SpanCase(twin.name, host.name, host.source, host.fold, UNTOUCHED, "", 0.0, 0.0)
    for second in seconds_of(host, footage, spoofs, locator):
        path = folder / file_name(VERSION, host.name, second.maker)
        write_spliced(path, twin, footage, second.frames, second.first)
        start, end = second.start_seconds, second.end_seconds
        yield SpanCase(path.name, host.name, host.source, host.fold, second.maker, second.system, start, end)
