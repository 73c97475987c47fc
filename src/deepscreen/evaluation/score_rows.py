"""One row a file and modality: what a data set says of it beside what the method says. Also as scores.csv."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from deepscreen.absence import Absence
from deepscreen.errors import MediaError
from deepscreen.evaluation.datasets.item import Item
from deepscreen.record import Media, ModalityName, ModalityResult, Screening, Verdict
from deepscreen.report.as_csv import FORMULA_STARTS
from deepscreen.report.wording import in_order

SIZE_CLASSES_PX = (256, 512, 1024)


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """``label``: 1 = spoof, 0 = bona fide. ``absence`` is empty exactly where the file has a ``spoof_logit``.

    ``spoof_logit`` is that of the modality's first detector; ``log10_lr`` speaks for all of them, where calibrated.
    """

    path: str
    modality: ModalityName
    label: int
    source: str
    generator: str
    kind: str
    group: str
    quality: str
    spoof_logit: float | None
    log10_lr: float | None
    verdict: str
    absence: str

    @property
    def is_scored(self) -> bool:
        """Whether the method gave a reading."""
        return self.spoof_logit is not None


@dataclass(frozen=True, slots=True)
class ScoredSet:
    """All rows of a data set. ``n_unlabelled``: sound tracks that it has no label for."""

    rows: tuple[ScoreRow, ...]
    n_unlabelled: int = 0


def rows_of(item: Item, screening: Screening) -> list[ScoreRow]:
    """A row for each modality that the data set has a label for."""
    kind = screening.media.kind
    labels = {"audio": item.audio_label, kind: item.file.label}
    rows = []
    for modality, result in in_order(screening):
        label = labels.get(modality)
        if label is not None:
            quality = item.quality or measured_quality(screening.media, modality)
            rows.append(_row(item, modality, label, quality, result))
    return rows


def _row(item: Item, modality: ModalityName, label: int, quality: str, result: ModalityResult) -> ScoreRow:
    if result.verdict is Verdict.NOT_SCREENED or not result.readings:
        reasons = {unscored.absence for unscored in result.not_scored}
        beyond = {Absence.OUT_OF_DOMAIN} & reasons
        return missing_row(item, modality, "+".join(sorted(beyond or reasons)), quality=quality, label=label)
    logit = result.readings[0].spoof_logit
    return scored_row(item, modality, label, quality, logit, result.log10_lr, result.verdict)


def scored_row(
    item: Item,
    modality: ModalityName,
    label: int,
    quality: str,
    spoof_logit: float,
    log10_lr: float | None,
    verdict: Verdict,
) -> ScoreRow:
    """The row of a file with a reading."""
    f = item.file
    about = (f.source, f.generator, f.kind, f.group, quality)
    return ScoreRow(f.key, modality, label, *about, spoof_logit, log10_lr, verdict.value, "")


def missing_row(
    item: Item, modality: ModalityName, reason: str, *, quality: str = "", label: int | None = None
) -> ScoreRow:
    """The row of a file without a reading, and why it has none."""
    f = item.file
    own_label = f.label if label is None else label
    about = (f.source, f.generator, f.kind, f.group, quality or item.quality)
    return ScoreRow(f.key, modality, own_label, *about, None, None, Verdict.NOT_SCREENED.value, reason or "no_detector")


def failed_rows(item: Item, error: MediaError) -> list[ScoreRow]:
    """The rows of a file that could not be examined: one for each label that the data set has for it."""
    reason = type(error).__name__
    rows = [missing_row(item, item.modality, reason)]
    if item.audio_label is not None:
        rows.append(missing_row(item, "audio", reason, label=item.audio_label))
    return rows


def measured_quality(media: Media, modality: ModalityName) -> str:
    """Container and size of a picture, size of a video, sample rate of a sound: what a score may depend on."""
    stream = next((s for s in media.streams if s.kind == modality), None)
    if stream is None:
        return ""
    if modality == "audio":
        return f"{(stream.sample_rate_hz or 0) / 1000:g} kHz"
    size = size_class(stream.width_px or 0, stream.height_px or 0)
    return f"{media.container.lower()}, {size}" if modality == "image" else size


def size_class(width_px: int, height_px: int) -> str:
    """The short side, in classes."""
    short = min(width_px, height_px)
    below = [limit for limit in SIZE_CLASSES_PX if short < limit]
    if not below:
        return f"short side from {SIZE_CLASSES_PX[-1]} px"
    return f"short side below {below[0]} px"


def write_scores(path: Path, rows: Iterable[ScoreRow]) -> None:
    """scores.csv; text that a spreadsheet would run as a formula begins with an apostrophe."""
    with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as stream:
        writer = csv.writer(stream)
        writer.writerow(field.name for field in fields(ScoreRow))
        writer.writerows([_cell(value) for value in astuple(row)] for row in rows)


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value
