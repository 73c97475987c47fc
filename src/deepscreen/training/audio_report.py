"""The figures of the audio detector's card, from held-out logits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepscreen.detectors.audio_head import HEAD_VIEWS
from deepscreen.detectors.audio_whisper import CARD, stratum_of
from deepscreen.detectors.linear_head import FloatArray
from deepscreen.evaluation.figures import FIGURE_DECIMALS, figure
from deepscreen.scoring.calibration import LN10
from deepscreen.training.audio_aims import (
    SPOOF_SUPPORTED_LOG10,
    TELEPHONE_RATE,
    Facts,
    aims_table,
    false_alarms_by_language,
)
from deepscreen.training.audio_rows import AudioRows
from deepscreen.training.launder_audio import TREATMENTS

BONA_FIDE_SUPPORTED_LOG10 = -1.0
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, repr=False)
class AudioResult:
    """Logits of rows whose sources the scoring heads never saw."""

    rows: AudioRows
    spoof_logits: FloatArray
    view_scores: FloatArray  # (n, views): by heads that read one of HEAD_VIEWS only
    probe_logits: FloatArray

    @property
    def as_recorded(self) -> Mask:
        """True for recordings, false for their laundered copies."""
        return np.asarray(self.rows.copies == 0)

    def bona_fide_or(self, kind: str) -> Mask:
        """Recordings of the family *kind* beside all bona fide recordings."""
        wanted = np.array([file.label == 0 or file.kind == kind for file in self.rows.files])
        return wanted & self.as_recorded


def audio_report(
    results: Mapping[str, AudioResult],
    log10_lrs: Mapping[str, FloatArray],
    unseen_systems: FloatArray,
    facts: Mapping[str, Facts],
    notes: Sequence[str],
) -> dict[str, Any]:
    """The report; ``results`` by protocol, the first of which is source-held-out, and their ``log10_lrs``.

    ``unseen_systems``: logits of that one's rows from fits that saw their source, but not their system.
    """
    first, held = next(iter(results.items()))
    lrs = log10_lrs[first]
    protocols = [row for title, result in results.items() for row in _protocols(title, result, log10_lrs[title])]
    kinds = sorted({file.kind for file in held.rows.files if file.label == 1})
    return {
        "detector": CARD.name,
        "command": "deepscreen fit audio --manifest MANIFEST --cache FOLDER",
        "fitted_on": {
            "n_files": int(held.as_recorded.sum()),
            "n_sources": len(set(held.rows.sources)),
            "n_laundered_copies": int((~held.as_recorded).sum()),
        },
        "protocols": dict(protocols),
        "measured_against_aims": aims_table(held.rows, held.spoof_logits, lrs, unseen_systems, facts),
        "by_kind": {kind: _figure(held, held.bona_fide_or(kind), held.spoof_logits) for kind in kinds},
        "decisions": _decisions(results, log10_lrs, facts),
        "false_alarms_by_source": _false_alarms(held, lrs),
        "false_alarms_by_language": false_alarms_by_language(held.rows, lrs, facts),
        "notes": list(notes),
    }


def _protocols(title: str, result: AudioResult, log10_lrs: FloatArray) -> list[tuple[str, dict[str, Any]]]:
    llrs = log10_lrs * LN10
    clean, treatments = result.as_recorded, np.array(result.rows.treatments)
    views = zip(HEAD_VIEWS, result.view_scores.T, strict=True)
    return [
        (f"{title}, all", _figure(result, clean, result.spoof_logits, llrs)),
        (f"{title}, laundered copies", _figure(result, ~clean, result.spoof_logits, llrs)),
        *((f"{title}, {t}", _figure(result, treatments == t, result.spoof_logits, llrs)) for t in TREATMENTS[1:]),
        *((f"{title}, {name} view alone", _figure(result, clean, scores)) for name, scores in views),
        (f"last-block probe, {title}, all", _figure(result, clean, result.probe_logits)),
    ]


def _figure(result: AudioResult, chosen: Mask, logits: FloatArray, llrs: FloatArray | None = None) -> dict[str, Any]:
    rows = result.rows.take(chosen)
    return figure(rows.labels, logits[chosen], rows.sources, spoof_llrs=None if llrs is None else llrs[chosen])


def _decisions(
    results: Mapping[str, AudioResult], log10_lrs: Mapping[str, FloatArray], facts: Mapping[str, Facts]
) -> dict[str, Any]:
    """How often each class is called what, at the thresholds of the default policy."""
    table: dict[str, Any] = {}
    for title, result in results.items():
        lrs = log10_lrs[title]
        telephone = np.array([facts[file.key].sample_rate_hz == TELEPHONE_RATE for file in result.rows.files])
        narrow = np.array([stratum_of(level) == "narrow_band" for level in result.rows.upper_bands_db])
        subsets = {
            "as recorded": result.as_recorded,
            "laundered copies": ~result.as_recorded,
            "recorded at 8 kHz": telephone & result.as_recorded,
            "narrow band": narrow,
        }
        table |= {f"{title}, {name}": _shares(result, lrs, chosen) for name, chosen in subsets.items()}
    return table


def _shares(result: AudioResult, lrs: FloatArray, chosen: Mask) -> dict[str, Any]:
    bona_fide, spoof = chosen & (result.rows.labels == 0), chosen & (result.rows.labels == 1)
    over, under = lrs >= SPOOF_SUPPORTED_LOG10, lrs <= BONA_FIDE_SUPPORTED_LOG10
    shares: dict[str, Any] = {"n_bona_fide": int(bona_fide.sum()), "n_spoof": int(spoof.sum())}
    for name, part, called in (
        ("bona fide called spoof", bona_fide, over),
        ("bona fide called bona fide", bona_fide, under),
        ("spoof called spoof", spoof, over),
        ("spoof called bona fide", spoof, under),
    ):
        if part.any():
            shares[name] = round(float(called[part].mean()), FIGURE_DECIMALS)
    return shares


def _false_alarms(result: AudioResult, log10_lrs: FloatArray) -> dict[str, Any]:
    """Sources with bona fide recordings that are called spoof, and how many."""
    alarms = (log10_lrs >= SPOOF_SUPPORTED_LOG10) & result.as_recorded
    table = {}
    for source in sorted(set(result.rows.sources)):
        own = np.array([f.source == source and f.label == 0 for f in result.rows.files]) & result.as_recorded
        if (alarms & own).any():
            table[source] = {"n_bona_fide": int(own.sum()), "called spoof": int((alarms & own).sum())}
    return table
