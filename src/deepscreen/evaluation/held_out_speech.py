"""Leave-one-source-out for speech: every recording scored by a head that was fitted without its source or its group."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from deepscreen.absence import Absence
from deepscreen.errors import ConfigError
from deepscreen.evaluation.cross_calibration import cross_calibrated
from deepscreen.evaluation.datasets.item import Item
from deepscreen.evaluation.held_out import RELEASE_SPLIT, can_be_held_out
from deepscreen.evaluation.protocols import is_release_split
from deepscreen.evaluation.score_rows import ScoreRow, missing_row, scored_row
from deepscreen.scoring.verdict import decide
from deepscreen.settings import VerdictPolicy
from deepscreen.training.audio_features import ClipFeatures
from deepscreen.training.audio_hold_out import OUTER_FOLDS, hold_out
from deepscreen.training.audio_rows import AudioRows, audio_rows
from deepscreen.training.labelled import LabelledFile

ReadSpeech = Callable[[LabelledFile], Iterable[ClipFeatures]]


@dataclass(frozen=True, slots=True, repr=False)
class HeldOutSpeech:
    """A row for every item; of the scored ones the fold, and the logit of the last-layer probe, by key."""

    rows: tuple[ScoreRow, ...]
    fold_by_key: Mapping[str, int]
    probe_logits: Mapping[str, float]


def score_speech_held_out(
    items: Sequence[Item], read: ReadSpeech, *, policy: VerdictPolicy, on_item: Callable[[], None]
) -> HeldOutSpeech:
    """Rows for all recordings as they are; fitted is on their laundered copies too, as ``deepscreen fit audio`` does.

    Not scored are the release split and recordings without speech. Raises ConfigError where there is other media than
    sound, or too little to hold anything out.
    """
    others = sorted({item.modality for item in items} - {"audio"})
    if others:
        raise ConfigError(f"speech alone can be held out together, and the data set holds {' and '.join(others)} too")
    pairs = []
    for item in items:
        if not is_release_split(item.file.source):
            pairs += [(item.file, clip) for clip in read(item.file)]
        on_item()
    if not pairs:
        raise ConfigError("no recording outside the release split holds speech")
    rows = audio_rows(pairs)
    folds = np.zeros(len(rows.files), np.int64)
    for number, members in enumerate(rows.folds(OUTER_FOLDS)):
        folds[members] = number
    if not can_be_held_out(rows.files, folds):
        n_sources = len(set(rows.sources))
        raise ConfigError(f"{n_sources} sources are too few: both classes must be left when any fold is held out")
    return _held(items, rows, folds, policy)


def _held(items: Sequence[Item], rows: AudioRows, folds: np.ndarray, policy: VerdictPolicy) -> HeldOutSpeech:
    held = hold_out(rows).result
    clean = held.as_recorded
    keys = [file.key for file, is_clean in zip(rows.files, clean, strict=True) if is_clean]
    sources = [source for source, is_clean in zip(rows.sources, clean, strict=True) if is_clean]
    logits = np.round(held.spoof_logits[clean], 3)
    log10_lrs = cross_calibrated(logits, rows.labels[clean], sources, folds[clean])
    read = dict(zip(keys, zip(logits.tolist(), log10_lrs.tolist(), strict=True), strict=True))
    return HeldOutSpeech(
        tuple(_row(item, read.get(item.file.key), policy) for item in items),
        dict(zip(keys, folds[clean].tolist(), strict=True)),
        dict(zip(keys, held.probe_logits[clean].tolist(), strict=True)),
    )


def _row(item: Item, read: tuple[float, float] | None, policy: VerdictPolicy) -> ScoreRow:
    if read is None:
        is_kept_back = is_release_split(item.file.source)
        return missing_row(item, "audio", RELEASE_SPLIT if is_kept_back else Absence.NO_SPEECH.value)
    logit, log10_lr = read
    return scored_row(item, "audio", item.file.label, item.quality, logit, log10_lr, decide(log10_lr, policy))
