"""The figures that speech is measured by: pooled, worst group, unseen systems, what laundering costs, false alarms."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepscreen.evaluation.figures import FIGURE_DECIMALS
from deepscreen.evaluation.metrics import FloatArray, IntArray, calibration_loss, cllr, eer, min_dcf
from deepscreen.evaluation.strata import share
from deepscreen.scoring.calibration import LN10
from deepscreen.training.audio_rows import AudioRows
from deepscreen.training.launder_audio import AS_RECORDED, MP3_32, TELEPHONE_CALL

SPOOF_SUPPORTED_LOG10 = 1.0
TELEPHONE_RATE = "8000"
WIDE_RATE_HZ = 16_000
MIN_PER_CLASS = 40  # of a group of sources
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Facts:
    """What a manifest says of a recording besides its label."""

    language: str
    sample_rate_hz: str


def read_facts(manifest: Path) -> dict[str, Facts]:
    """By path, from the optional columns ``language`` and ``original_sample_rate_hz``."""
    with manifest.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    return {r["path"]: Facts(r.get("language") or "", r.get("original_sample_rate_hz") or "") for r in rows}


def groups_of_sources(rows: AudioRows, facts: Mapping[str, Facts]) -> dict[str, Mask]:
    """Rows by language and channel of their source: what most of its recordings are in, so that no source is split."""
    names = {}
    for source in sorted(set(rows.sources)):
        own = [facts[f.key] for f in {file.key: file for file in rows.files if file.source == source}.values()]
        english = Counter(f.language == "en" for f in own).most_common(1)[0][0]
        wide = Counter(f.sample_rate_hz.isdigit() and int(f.sample_rate_hz) > WIDE_RATE_HZ for f in own)
        channel = "above 16 kHz" if wide.most_common(1)[0][0] else "up to 16 kHz"
        names[source] = f"{'English' if english else 'other languages'}, recorded {channel}"
    of_rows = np.array([names[source] for source in rows.sources])
    return {str(name): of_rows == name for name in np.unique(of_rows)}


def aims_table(
    rows: AudioRows, logits: FloatArray, log10_lrs: FloatArray, unseen: FloatArray, facts: Mapping[str, Facts]
) -> dict[str, dict[str, Any]]:
    """Each figure with its counts. ``logits``: of held-out sources; ``unseen``: of held-out systems, nan: not asked."""
    labels, treatments = rows.labels, np.array(rows.treatments)
    clean = treatments == AS_RECORDED
    llrs = log10_lrs * LN10
    table = {
        "EER, whole sources held out": _counted(labels, clean, eer(labels[clean], logits[clean])),
        "minDCF (prior of spoof 0.05, costs 1 and 10)": _counted(labels, clean, min_dcf(labels[clean], logits[clean])),
        "Cllr": _counted(labels, clean, cllr(labels[clean], llrs[clean])),
        "Cllr less Cllr_min": _counted(labels, clean, calibration_loss(labels[clean], llrs[clean])),
    }
    for name, mask in groups_of_sources(rows, facts).items():
        own = mask & clean
        if min((labels[own] == 0).sum(), (labels[own] == 1).sum()) >= MIN_PER_CLASS:
            table[f"EER, {name}"] = _counted(labels, own, eer(labels[own], logits[own]))
    asked = clean & ~np.isnan(unseen)
    if 0 < labels[asked].sum() < asked.sum():
        table["EER, unseen systems of seen sources"] = _counted(labels, asked, eer(labels[asked], unseen[asked]))
    for treatment in (TELEPHONE_CALL, MP3_32):
        table |= _loss(rows, logits, treatments, treatment)
    return table | {"telephone speech called spoof": telephone_false_alarms(rows, log10_lrs, facts)}


def telephone_false_alarms(
    rows: AudioRows, log10_lrs: FloatArray, facts: Mapping[str, Facts]
) -> dict[str, int | float | None]:
    """Bona fide speech coded as a call or recorded at 8 kHz, at the ``spoof_supported`` threshold, exact interval.

    Each recording counts once: as a call, or where it has no such copy as it was recorded at 8 kHz.
    """
    calls = np.array(rows.treatments) == TELEPHONE_CALL
    called_keys = {file.key for file, is_call in zip(rows.files, calls, strict=True) if is_call}
    at_8_khz = [f.key not in called_keys and facts[f.key].sample_rate_hz == TELEPHONE_RATE for f in rows.files]
    clean = np.array(rows.treatments) == AS_RECORDED
    asked = (calls | (clean & np.array(at_8_khz))) & (rows.labels == 0)
    return _called_spoof(log10_lrs[asked]) | {"n_spoof": 0, "n_bona_fide": int(asked.sum())}


def false_alarms_by_language(
    rows: AudioRows, log10_lrs: FloatArray, facts: Mapping[str, Facts]
) -> dict[str, dict[str, int | float | None]]:
    """Bona fide recordings as they are at the ``spoof_supported`` threshold, exact interval; most recordings first."""
    bona_fide = (np.array(rows.treatments) == AS_RECORDED) & (rows.labels == 0)
    languages = np.array([facts[file.key].language or "not labelled" for file in rows.files])
    names, counts = np.unique(languages[bona_fide], return_counts=True)
    table = {}
    for k in np.lexsort((names, -counts)):
        asked = bona_fide & (languages == names[k])
        table[str(names[k])] = _called_spoof(log10_lrs[asked]) | {"n_bona_fide": int(counts[k])}
    return table


def _called_spoof(log10_lrs: FloatArray) -> dict[str, int | float | None]:
    """The share that is, with its exact interval."""
    shown = share("", int((log10_lrs >= SPOOF_SUPPORTED_LOG10).sum()), len(log10_lrs)).shown
    return {"value": shown.value, "value_low": shown.low, "value_high": shown.high}


def _loss(rows: AudioRows, logits: FloatArray, treatments: NDArray[np.str_], treatment: str) -> dict[str, Any]:
    """EER after *treatment* less that of the same recordings as they are."""
    after = treatments == treatment
    keys = {file.key for file, chosen in zip(rows.files, after, strict=True) if chosen}
    before = (treatments == AS_RECORDED) & np.array([file.key in keys for file in rows.files])
    if not 0 < rows.labels[after].sum() < after.sum():
        return {}
    rates = [eer(rows.labels[mask], logits[mask]) for mask in (before, after)]
    return {
        f"EER, {treatment}": _counted(rows.labels, after, rates[1]),
        f"EER lost by {treatment}": _counted(rows.labels, after, rates[1] - rates[0]),
    }


def _counted(labels: IntArray, chosen: Mask, value: float) -> dict[str, Any]:
    n_spoof = int(labels[chosen].sum())
    return {"value": round(value, FIGURE_DECIMALS), "n_spoof": n_spoof, "n_bona_fide": int(chosen.sum()) - n_spoof}
