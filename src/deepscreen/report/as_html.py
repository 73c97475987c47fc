"""Results as one static page: self-contained, readable without a script, written item by item."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from deepscreen.evidence.axes import clock
from deepscreen.record import Evidence, Provenance, Screening, Verdict
from deepscreen.report import wording

TEMPLATES = Path(__file__).parent / "templates"
# Evidence lies below the page's own folder; no segment can climb, name a scheme or need quoting.
SAFE_SEGMENT = r"[A-Za-z0-9_-][A-Za-z0-9._-]*"
SAFE_NAME = re.compile(SAFE_SEGMENT)
SAFE_HREF = re.compile(rf"{SAFE_SEGMENT}(/{SAFE_SEGMENT})*")
# Half the width of the drawn log10 LR scale; what lies beyond is drawn at its end.
BAR_REACH_LOG10 = 4.0
BAR_WIDTH = 120


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """One file: its name, and a screening or the text of an error; never both, never neither.

    ``evidence_href`` is the folder of its evidence pictures, relative to the page (``evidence/<sha256>``); "" where
    they lie beside it.
    """

    path_display: str
    screening: Screening | None
    error: str | None
    thumbnail_jpeg: bytes | None
    evidence_href: str

    def __post_init__(self) -> None:
        if (self.screening is None) == (self.error is None):
            raise ValueError("IndexEntry: want either a screening or an error, got both or neither")
        if self.evidence_href and not SAFE_HREF.fullmatch(self.evidence_href):
            raise ValueError(f"IndexEntry: evidence_href must be a plain relative path, got {self.evidence_href!r}")

    @property
    def verdict(self) -> str:
        """The overall verdict, or ``failed``."""
        return "failed" if self.screening is None else str(self.screening.overall.verdict)

    @property
    def strongest_log10_lr(self) -> float | None:
        """The log10 LR of the modality that speaks most for "synthetic or manipulated"; orders the page."""
        results = self.screening.modalities.values() if self.screening else ()
        return max((r.log10_lr for r in results if r.log10_lr is not None), default=None)


@dataclass(frozen=True, slots=True)
class IndexSummary:
    """Counts for the head of the page; they add up by construction."""

    verdicts: Mapping[Verdict, int]
    failed: int
    provenance: Provenance | None = None

    @property
    def screened(self) -> int:
        """Files that have a record."""
        return sum(self.verdicts.values())

    @property
    def files(self) -> int:
        """All files: screened and failed."""
        return self.screened + self.failed

    @classmethod
    def of(cls, screenings: Iterable[Screening | None]) -> IndexSummary:
        """Counts over all files, where None is a file that failed; consumed once."""
        counts: Counter[Verdict | None] = Counter()
        provenance = None
        for screening in screenings:
            counts[None if screening is None else screening.overall.verdict] += 1
            provenance = provenance or (screening.provenance if screening else None)
        return cls({verdict: counts[verdict] for verdict in Verdict}, counts[None], provenance)


def write_index(out_path: Path, entries: Iterable[IndexEntry], *, summary: IndexSummary) -> None:
    """Writes the page to *out_path*, holding one entry at a time; an existing page is replaced only when it is whole.

    Raises ValueError, and writes nothing, where *entries* are not what *summary* counts.
    """
    partial = out_path.with_name(out_path.name + ".partial")
    try:
        _write(partial, entries, summary)
        partial.replace(out_path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            partial.unlink()


def _write(path: Path, entries: Iterable[IndexEntry], summary: IndexSummary) -> None:
    environment = _environment()
    item = environment.get_template("item.html")
    counts: Counter[str] = Counter()
    # Text of a record cannot hold what UTF-8 has no form for, but a report must not fail over a surprise.
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as page:
        page.write(environment.get_template("head.html").render(summary=summary, **_page_parts()))
        for number, entry in enumerate(entries):
            counts[entry.verdict] += 1
            page.write(item.render(entry=entry, number=number))
        page.write(environment.get_template("foot.html").render(summary=summary, **_page_parts()))
    _check_counts(counts, summary)


def _check_counts(counts: Counter[str], summary: IndexSummary) -> None:
    expected = Counter({str(verdict): n for verdict, n in summary.verdicts.items()}) + Counter(failed=summary.failed)
    if counts != expected:
        raise ValueError(f"write_index: summary counts {dict(expected)}, but the entries are {dict(counts)}")


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_harmless,
    )
    environment.filters.update(
        bytes=wording.bytes_text,
        clock=clock,
        facts=wording.facts_text,
        faithfulness=wording.faithfulness_text,
        interval=wording.interval_text,
        jpeg_uri=_jpeg_uri,
        ratio=wording.ratio_text,
        score=wording.score_text,
        sentence=wording.sentence,
        signed=wording.signed,
    )
    environment.globals.update(
        at_limit=wording.at_limit,
        bar_x=_bar_x,
        by_severity=wording.by_severity,
        caption=_caption,
        evidence_url=_evidence_url,
        in_order=wording.in_order,
        stability=wording.stability_text,
        symbols=wording.OUTCOME_SYMBOLS,
        words=wording.OUTCOME_WORDS,
    )
    return environment


def _harmless(value: Any) -> Any:
    """Every text that a template puts out: names and messages come from hostile files. Markup is the templates' own."""
    return wording.shown(value) if type(value) is str or isinstance(value, Verdict) else value


@lru_cache(maxsize=1)
def _page_parts() -> dict[str, Markup]:
    """Style and script, inlined, and the policy that lets the browser run these and nothing else."""
    style = (TEMPLATES / "index.css").read_text(encoding="utf-8")
    script = (TEMPLATES / "index.js").read_text(encoding="utf-8")
    policy = (
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src 'self' file: data:; "
        f"style-src '{_csp_hash(style)}'; script-src '{_csp_hash(script)}'"
    )
    # Our own files, not input; they hold no end tag that would close their element.
    return {"style": Markup(style), "script": Markup(script), "policy": Markup(policy)}


def _csp_hash(source: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode("utf-8")).digest()).decode("ascii")


def _jpeg_uri(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")


def _evidence_url(entry: IndexEntry, evidence: Evidence) -> str:
    if not SAFE_NAME.fullmatch(evidence.name):
        raise ValueError(f"evidence name: want letters, digits, dot, dash and underscore, got {evidence.name!r}")
    return f"{entry.evidence_href}/{evidence.name}" if entry.evidence_href else evidence.name


def _caption(evidence: Evidence) -> str:
    """What an evidence picture shows, in one line; also its text alternative."""
    parts = [f"{evidence.kind} of the {wording.SUBJECT_WORDS[evidence.subject]}"]
    if evidence.pts_seconds is not None:
        parts.append(f"at {clock(evidence.pts_seconds, decimals=2)}")
    if evidence.start_seconds is not None and evidence.end_seconds is not None:
        start, end = (clock(t, decimals=2) for t in (evidence.start_seconds, evidence.end_seconds))
        parts.append(f"from {start} to {end}")
    return wording.sentence(" ".join(parts))


def _bar_x(log10_lr: float) -> float:
    """Horizontal place of a log10 LR on the drawn scale."""
    share = (min(max(log10_lr, -BAR_REACH_LOG10), BAR_REACH_LOG10) + BAR_REACH_LOG10) / (2 * BAR_REACH_LOG10)
    return round(share * BAR_WIDTH, 1)
