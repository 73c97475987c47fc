"""What a result means, for a reader who is no expert: sentences with everyday numbers, never a bare percentage.

Error rates are told as counts of files ("9 in 1,000"), since people read these more surely than percentages
(Gigerenzer and Hoffrage, 1995), and always with what they were counted on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from deepscreen.absence import Absence
from deepscreen.record import ModalityName, ModalityResult, Screening, Verdict
from deepscreen.report import wording
from deepscreen.report.language import Language
from deepscreen.report.validation_figures import ErrorRates, error_rates
from deepscreen.weights.store import shipped_dir

# Half the width of the drawn scale of log10 LR; what lies beyond is drawn at its end.
REACH_LOG10 = 4.0
KINDS = {"image": "pictures", "video": "clips", "audio": "recordings"}
SAID: dict[Verdict, str] = {
    Verdict.SPOOF_SUPPORTED: "What was measured fits a synthetic or manipulated file better than an authentic one.",
    Verdict.BONA_FIDE_SUPPORTED: "What was measured fits an authentic file better than a synthetic or manipulated one.",
    Verdict.INCONCLUSIVE: "What was measured does not tell the two apart well enough. This is no sign of authenticity.",
    Verdict.NOT_SCREENED: "Nothing could be measured here. This says nothing about the file, in either direction.",
}
WHY_ABSENT: dict[Absence, str] = {
    Absence.NO_FACE: "It looks at faces, and found none.",
    Absence.TOO_SMALL: "What it looks at is too small in this file.",
    Absence.TOO_SHORT: "The file is too short for it.",
    Absence.NARROW_BAND: "The sound lacks the frequencies that it listens to, as on the telephone.",
    Absence.SILENT: "There is no sound to listen to.",
    Absence.NO_SPEECH: "It listens to speech, and heard none.",
    Absence.NO_AUDIO_TRACK: "The file has no sound track.",
    Absence.NO_VIDEO_FRAMES: "No frame of the video could be read.",
    Absence.OUT_OF_DOMAIN: "The content is of a kind that it was not made for, such as a drawing or a screenshot.",
    Absence.UNDECODABLE: "This part of the file could not be read.",
    Absence.NOT_APPLICABLE: "It does not apply to this file.",
    Absence.NOT_CALIBRATED: "It was never tested on files with known answers, so its reading cannot be weighed.",
    Absence.DETECTOR_FAILED: "It failed on this file; the log of the service says more.",
}
NEXT: dict[Verdict, tuple[str, ...]] = {
    Verdict.SPOOF_SUPPORTED: (
        "Look at the places and times that are marked: is there an innocent cause, such as a filter, heavy compression"
        " or a screenshot?",
        "Ask for the original file from the device, and screen that.",
        "Have a second person review the result before it is used.",
    ),
    Verdict.BONA_FIDE_SUPPORTED: (
        "Do not take this for proof: methods that are newer than this one may go unnoticed, and an authentic file can"
        " be presented falsely.",
        "Check where the file comes from, and whether its date and place fit.",
    ),
    Verdict.INCONCLUSIVE: (
        "Ask for a better copy: the original from the device rather than one from a messenger.",
        "Rely on other evidence: source, context, witnesses, the findings about the file below.",
    ),
    Verdict.NOT_SCREENED: (
        "Read below why nothing was measured; another copy or excerpt may serve.",
        "Rely on other evidence: source, context, witnesses, the findings about the file below.",
    ),
}
FOR_NONE = "Such readings are as common among authentic files as among synthetic or manipulated ones."
FOR_SPOOF = "Such readings are about {n} times as common among synthetic or manipulated files as among authentic ones."
FOR_BONA_FIDE = (
    "Such readings are about {n} times as common among authentic files as among synthetic or manipulated ones."
)
EITHER_SIDE = (
    "With other test files it might have come out on either side: from {a} times in favour of authentic to {b} times in"
    " favour of synthetic or manipulated."
)
ONE_SIDE = "With other test files it might have come out anywhere from {a} to {b} times."
AT_LIMIT = "More cannot be said with the number of files it was tested on."
COUNTED = (
    "Tested on {n} authentic {kind} from sources it had never met, it took {a} in 1,000 for synthetic or manipulated."
    " Of {m} synthetic or manipulated ones it recognised {b} in 1,000 and took {c} in 1,000 for authentic. On the rest"
    " it did not decide."
)
FORCED = (
    "Forced to decide, {detector} was wrong about {a} of 100 {kind} of either kind (tested on {n} authentic and {m}"
    " synthetic or manipulated ones, from {s} sources it had never met)."
)


@dataclass(frozen=True, slots=True)
class Meaning:
    """One modality's result in plain words. ``scale``: places on a line from 0 to 100, or None without a ratio."""

    modality: ModalityName
    result: ModalityResult
    said: str
    ratio: str
    bounds: str
    rates: tuple[str, ...]
    absences: tuple[tuple[str, str], ...]  # detector and reason
    next_steps: tuple[str, ...]
    scale: dict[str, float] | None


def meanings(screening: Screening, language: Language) -> tuple[Meaning, ...]:
    """Every modality in the order in which reports tell them."""
    rates = error_rates(screening)
    return tuple(
        _meaning(modality, result, rates, language) for modality, result in wording.in_order(screening)
    )  # fmt: skip


def _meaning(
    modality: ModalityName, result: ModalityResult, rates: tuple[ErrorRates, ...], language: Language
) -> Meaning:
    tell = language.gettext
    return Meaning(
        modality=modality,
        result=result,
        said=tell(SAID[result.verdict]),
        ratio=_ratio(result, language),
        bounds=_bounds(result, language),
        rates=tuple(_rates(modality, result, rates, language)),
        absences=tuple((a.detector, tell(WHY_ABSENT[a.absence])) for a in result.not_scored),
        next_steps=tuple(map(tell, NEXT[result.verdict])),
        scale=_scale(result),
    )


def times(log10_lr: float, language: Language) -> str:
    """How many times, to two figures that a reader can hold: ``1.4``, ``12``, ``2,500``."""
    value = float(f"{10 ** abs(log10_lr):.2g}")
    return language.number(value, decimals=1 if value < 10 else 0)


def _ratio(result: ModalityResult, language: Language) -> str:
    tell, log10_lr = language.gettext, result.log10_lr
    if log10_lr is None:
        return ""
    if abs(log10_lr) < 0.02:
        return tell(FOR_NONE)
    sentence = tell(FOR_SPOOF if log10_lr > 0 else FOR_BONA_FIDE)
    return sentence.format(n=times(log10_lr, language))


def _bounds(result: ModalityResult, language: Language) -> str:
    """How sure the ratio itself is. Where the interval crosses 1, that is what must be said."""
    tell, low, high = language.gettext, result.log10_lr_low, result.log10_lr_high
    if low is None or high is None:
        return ""
    if low < 0 < high:
        sentence = tell(EITHER_SIDE)
        return sentence.format(a=times(low, language), b=times(high, language))
    near, far = sorted((abs(low), abs(high)))
    text = tell(ONE_SIDE).format(a=times(near, language), b=times(far, language))
    return f"{text} {tell(AT_LIMIT)}" if wording.at_limit(result) else text


def _rates(
    modality: ModalityName, result: ModalityResult, rates: tuple[ErrorRates, ...], language: Language
) -> Iterator[str]:
    """How often the method errs on media of this kind, in counts; nothing for records of another method."""
    used = {reading.detector for reading in result.readings}
    held_out = [rate for rate in rates if rate.detector in used and rate.protocol.startswith("source-held-out")]
    if not held_out:
        return
    tell, kind = language.gettext, language.gettext(KINDS[modality])
    decided = _decisions(modality)
    if decided is not None:
        sentence = tell(COUNTED)
        count = {name: language.number(value, decimals=0) for name, value in decided.items()}
        yield sentence.format(kind=kind, **count)
    for rate in held_out if decided is None else ():
        if rate.eer is None:
            continue
        sentence = tell(FORCED)
        yield sentence.format(
            detector=rate.detector, a=round(rate.eer * 100), kind=kind, n=rate.n_bona_fide, m=rate.n_spoof,
            s=rate.n_sources,
        )  # fmt: skip


def _decisions(modality: ModalityName) -> dict[str, float] | None:
    """From the fit's report: what the verdict said of files with known answers, in 1,000. None: never counted."""
    counted = _report("image_fusion").get("verdicts", {}).get("all") if modality == "image" else None
    if counted is not None:
        shares = {"a": counted["fpr"], "b": counted["spoofs_found"], "c": counted["fnr"]}
    else:
        counted = _report("audio_whisper").get("decisions", {}).get("source-held-out, as recorded")
        if modality != "audio" or counted is None:
            return None
        names = {"a": "bona fide called spoof", "b": "spoof called spoof", "c": "spoof called bona fide"}
        shares = {letter: counted[name] for letter, name in names.items()}
    return {"n": counted["n_bona_fide"], "m": counted["n_spoof"], **{k: 1000 * v for k, v in shares.items()}}


def _report(name: str) -> Mapping[str, Any]:
    with suppress(OSError, ValueError):
        found: Mapping[str, Any] = json.loads((shipped_dir() / "reports" / f"{name}.json").read_text(encoding="utf-8"))
        return found
    return {}


def _scale(result: ModalityResult) -> dict[str, float] | None:
    if result.log10_lr is None:
        return None
    ends = {"at": result.log10_lr, "low": result.log10_lr_low, "high": result.log10_lr_high}
    return {name: _place(result.log10_lr if value is None else value) for name, value in ends.items()}


def _place(log10_lr: float) -> float:
    within = min(max(log10_lr, -REACH_LOG10), REACH_LOG10)
    return round(50 + 50 * within / REACH_LOG10, 2)
