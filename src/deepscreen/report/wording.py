"""How results are put into words and figures, the same in every report, and how hostile text is shown harmlessly."""

from __future__ import annotations

from collections.abc import Iterable

from deepscreen.findings.finding import SEVERITIES, Finding
from deepscreen.record import Evidence, ModalityName, ModalityResult, Screening, Verdict

VERDICT_WORDS: dict[Verdict, str] = {
    Verdict.SPOOF_SUPPORTED: "supports synthetic or manipulated",
    Verdict.INCONCLUSIVE: "inconclusive",
    Verdict.BONA_FIDE_SUPPORTED: "supports bona fide",
    Verdict.NOT_SCREENED: "not screened",
}
VERDICT_SYMBOLS: dict[Verdict, str] = {
    Verdict.SPOOF_SUPPORTED: "▲",
    Verdict.INCONCLUSIVE: "◆",
    Verdict.BONA_FIDE_SUPPORTED: "●",
    Verdict.NOT_SCREENED: "○",
}
FAILED_SYMBOL = "✕"
# By the names that a report knows: the verdicts' own, and "failed" for a file without a record.
OUTCOME_WORDS: dict[str, str] = {**{str(v): words for v, words in VERDICT_WORDS.items()}, "failed": "failed"}
OUTCOME_SYMBOLS: dict[str, str] = {**{str(v): sign for v, sign in VERDICT_SYMBOLS.items()}, "failed": FAILED_SYMBOL}
NOTHING = "-"
SUBJECT_WORDS = {"whole": "whole picture", "face": "face", "clip": "clip", "sound": "sound track"}


MODALITY_ORDER: tuple[ModalityName, ...] = ("image", "video", "audio")


def in_order(screening: Screening) -> list[tuple[ModalityName, ModalityResult]]:
    """The results of a file, what is seen before what is heard."""
    return [(name, screening.modalities[name]) for name in MODALITY_ORDER if name in screening.modalities]


def by_severity(findings: Iterable[Finding]) -> list[Finding]:
    """What a busy reader must see first, first; else in the record's order."""
    return sorted(findings, key=lambda found: SEVERITIES.index(found.severity))


def facts_text(found: Finding) -> str:
    """The facts of a finding in one line: ``steps 20; seed 42``."""
    return "; ".join(f"{name.replace('_', ' ')} {value}" for name, value in found.facts.items())


def sentence(text: str) -> str:
    """*text* with a capital at its head."""
    return text[:1].upper() + text[1:]


def shown(text: str) -> str:
    """*text* with everything that does not print, or that reorders what prints, as escapes; idempotent.

    Covers control characters, escape sequences, line breaks, bidirectional overrides, zero-width signs, and bytes of
    file names that are not UTF-8 (surrogates, shown as ``\\xff``).
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else _escape(c) for c in text)


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # how Python carries an undecodable byte of a file name
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


def score_text(authenticity_score: float | None) -> str:
    """Two decimals; never ``0.00`` or ``1.00``, which would claim certainty."""
    if authenticity_score is None:
        return NOTHING
    if authenticity_score < 0.005:
        return "<0.01"
    return ">0.99" if authenticity_score >= 0.995 else f"{authenticity_score:.2f}"


def signed(value: float | None, *, decimals: int = 2) -> str:
    """A figure with its sign, and zero without one."""
    if value is None:
        return NOTHING
    rounded = round(value, decimals)
    return f"{rounded:+.{decimals}f}" if rounded else f"{0:.{decimals}f}"


def interval_text(low: float | None, high: float | None) -> str:
    """``+1.60 to +2.60``, or nothing where no bounds are known."""
    return "" if low is None or high is None else f"{signed(low)} to {signed(high)}"


def ratio_text(log10_lr: float | None) -> str:
    """The ratio in words to two significant figures: how many times more probable under which hypothesis."""
    if log10_lr is None:
        return ""
    times = float(f"{10 ** abs(log10_lr):.2g}")
    if times < 1.05:
        return "equally probable under both hypotheses"
    which = "synthetic or manipulated" if log10_lr > 0 else "bona fide"
    return f"about {times:,.10g} times more probable if {which}"


def at_limit(result: ModalityResult) -> bool:
    """Whether the figure is as far from zero as the size of the validation set allows."""
    if result.log10_lr is None or result.log10_lr_limit is None:
        return False
    return abs(result.log10_lr) >= result.log10_lr_limit - 1e-9


def stability_text(result: ModalityResult) -> str:
    """What the laundering test showed, or nothing where it was not made."""
    if result.stability is None:
        return ""
    return "stands when re-encoded" if result.stability.is_stable else "does not stand when re-encoded"


def faithfulness_text(evidence: Evidence) -> str:
    """What masking does to the log-odds, or nothing for pictures that are no saliency map."""
    figures = evidence.faithfulness
    if figures is None:
        return ""
    part = f"{figures.masked_fraction * 100:.0f} %"
    return f"hottest {part} masked: {signed(-figures.drop_hottest)}, random {part}: {signed(-figures.drop_random)}"


def bytes_text(size_bytes: int) -> str:
    """A size for people, in binary units."""
    size = float(size_bytes)
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return f"{size_bytes} bytes" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
