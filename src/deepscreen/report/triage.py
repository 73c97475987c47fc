"""A gallery of all files of a scan that opens from disk: sortable, filterable, pictures blurred until asked for.

The page loads its data from small script files beside it, for a browser reads nothing else from a disk; it draws the
cards that are in view and no others, so 20,000 files cost it no more than twenty.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from deepscreen.record import ModalityResult, Screening
from deepscreen.report import wording
from deepscreen.report.as_html import SAFE_NAME

TEMPLATES = Path(__file__).parent / "templates"
DATA_DIR_NAME = "triage"
ITEMS_PER_CHUNK = 2_000
SPARKLINE_POINTS = 48
# What the timelines are drawn between; raw log-odds, not calibrated.
SPARKLINE_REACH = 6.0


@dataclass(frozen=True, slots=True)
class TriageItem:
    """One file. ``outcome``: a verdict's name, ``failed``, ``known`` or ``other``; ``note``: why there is no verdict.

    ``folder``: where its record and pictures lie, relative to the page, or None. ``group``: number of its group of
    similar files.
    """

    path_display: str
    outcome: str
    note: str
    screening: Screening | None
    folder: str | None
    has_thumbnail: bool
    first_display: str | None
    is_known: bool
    group: int | None
    size_bytes: int | None


class TriagePage:
    """Takes items one by one, and writes them in files of some thousands."""

    def __init__(self, out_dir: Path) -> None:
        self._data_dir = out_dir / DATA_DIR_NAME
        self._data_dir.mkdir(exist_ok=True)
        self._chunk: list[list[Any]] = []
        self.chunks = self.items = 0

    def add(self, item: TriageItem) -> None:
        """Appends one file."""
        self._chunk.append(_cells(item))
        self.items += 1
        if len(self._chunk) == ITEMS_PER_CHUNK:
            self.flush()

    def flush(self) -> None:
        """Writes what waits."""
        if self._chunk:
            rows = json.dumps(self._chunk, separators=(",", ":"), ensure_ascii=True)
            path = self._data_dir / f"{self.chunks}.js"
            path.with_suffix(".part").write_text(f"deepscreenItems({rows});\n", "ascii")
            path.with_suffix(".part").replace(path)
            self.chunks += 1
            self._chunk.clear()


@contextmanager
def triage_page(out_dir: Path, page_name: str) -> Iterator[TriagePage]:
    """A page to add items to; at the end it is written, and files of an earlier one that it does not need are gone."""
    page = TriagePage(out_dir)
    yield page
    page.flush()
    partial = out_dir / f"{page_name}.part"
    partial.write_text(_html(page), encoding="utf-8")
    partial.replace(out_dir / page_name)
    for old in (out_dir / DATA_DIR_NAME).glob("*.js"):
        if int(old.stem) >= page.chunks:
            old.unlink()


def _html(page: TriagePage) -> str:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    style, script = (Markup((TEMPLATES / name).read_text(encoding="utf-8")) for name in ("triage.css", "triage.js"))
    policy = (
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src 'self' file:; "
        f"style-src '{_csp_hash(style)}'; script-src 'self' file: '{_csp_hash(script)}'"
    )
    return environment.get_template("triage.html").render(
        style=style,
        script=script,
        policy=policy,
        chunks=[f"{DATA_DIR_NAME}/{number}.js" for number in range(page.chunks)],
        items=page.items,
        words=wording.OUTCOME_WORDS,
        symbols=wording.OUTCOME_SYMBOLS,
        reach=SPARKLINE_REACH,
    )


def _csp_hash(source: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode("utf-8")).digest()).decode("ascii")


def _cells(item: TriageItem) -> list[Any]:
    """What the page's script reads, in its order (``FIELDS`` in triage.js)."""
    name, result = _strongest(item.screening)
    notable = [
        f for f in wording.by_severity(item.screening.findings if item.screening else ()) if f.severity != "info"
    ]
    return [
        item.path_display,
        item.outcome,
        item.note,
        item.folder,
        int(item.has_thumbnail),
        item.screening.media.kind if item.screening else "",
        name,
        _rounded(result.log10_lr if result else None),
        [_rounded(result.log10_lr_low), _rounded(result.log10_lr_high)] if result else None,
        result.verbal if result else "",
        _heatmap(item.screening),
        sparkline(item.screening),
        [wording.shown(found.message) for found in notable[:3]],
        len(notable),
        item.first_display,
        int(item.is_known),
        item.group,
        item.size_bytes,
    ]


def _strongest(screening: Screening | None) -> tuple[str, ModalityResult | None]:
    """The modality that speaks most for "synthetic or manipulated", or the first one."""
    if screening is None or not screening.modalities:
        return "", None
    results = wording.in_order(screening)
    scored = [pair for pair in results if pair[1].log10_lr is not None]
    return max(scored, key=lambda pair: pair[1].log10_lr or 0.0) if scored else results[0]


def _heatmap(screening: Screening | None) -> str | None:
    """The name of the first heatmap or, of sound, spectrogram."""
    pictures = [p for result in (screening.modalities.values() if screening else ()) for p in result.evidence]
    kinds = {picture.kind: picture.name for picture in reversed(pictures) if SAFE_NAME.fullmatch(picture.name)}
    return kinds.get("heatmap") or kinds.get("spectrogram")


def sparkline(screening: Screening | None) -> list[float] | None:
    """Local log-odds over a clip or recording in at most ``SPARKLINE_POINTS`` steps, the highest of each.

    Of several tracks and detectors, the highest at each time: what stands out must not be averaged away.
    """
    timelines = [r.timeline for r in (screening.modalities.values() if screening else ()) if len(r.timeline) > 1]
    if not timelines:
        return None
    spans = timelines[0]
    end = max(span.end_seconds for span in spans) or 1.0
    steps = [[] for _ in range(SPARKLINE_POINTS)]  # type: list[list[float]]
    for span in spans:
        place = min(SPARKLINE_POINTS - 1, int(span.start_seconds / end * SPARKLINE_POINTS))
        steps[place].append(span.spoof_logit)
    return [round(max(values), 2) for values in steps if values]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
