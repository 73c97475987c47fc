"""Results as a table for the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from deepscreen.record import ModalityResult, Screening, Verdict
from deepscreen.report.wording import (
    FAILED_SYMBOL,
    NOTHING,
    VERDICT_SYMBOLS,
    VERDICT_WORDS,
    by_severity,
    in_order,
    interval_text,
    score_text,
    shown,
    signed,
    stability_text,
)

VERDICT_STYLES: dict[Verdict, str] = {
    Verdict.SPOOF_SUPPORTED: "bold dark_orange",
    Verdict.INCONCLUSIVE: "default",
    Verdict.BONA_FIDE_SUPPORTED: "bold dodger_blue1",
    Verdict.NOT_SCREENED: "dim",
}
FAILED_STYLE = "bold red"
FINDINGS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class TableRow:
    """One file and what came of it: a screening, or the text of an error."""

    path: str
    screening: Screening | None
    error: str | None
    seconds: float | None


def results_table(rows: Iterable[TableRow]) -> Table:
    """File, modality, authenticity score, log10 LR with its interval, verdict, seconds; one line per modality,
    then one per finding that is more than a matter of course (its severity stands in the column of modalities).

    File names and messages are shown as they are read, with control characters as escapes; never as rich markup.
    """
    table = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False, padding=(0, 0, 0, 1))
    table.add_column("file", overflow="fold", min_width=12)
    table.add_column("modality", no_wrap=True)
    table.add_column("authenticity\nscore", justify="right", no_wrap=True)
    table.add_column("log10 LR", justify="right", min_width=14)
    table.add_column("verdict", overflow="fold", min_width=14)
    table.add_column("seconds", justify="right", no_wrap=True, min_width=7)
    for row in rows:
        for cells in [*_lines(row), *_findings(row)]:
            table.add_row(*cells)
    return table


def _lines(row: TableRow) -> list[list[Text]]:
    """The lines of one file; name and seconds stand in the first only."""
    seconds = Text(NOTHING if row.seconds is None else f"{row.seconds:.2f}")
    if row.screening is None:
        reason = Text(f"{FAILED_SYMBOL} failed: {shown(row.error or 'no reason given')}", style=FAILED_STYLE)
        bodies = [[Text(NOTHING), Text(NOTHING), Text(NOTHING), reason]]
    else:
        bodies = [_cells(name, result) for name, result in in_order(row.screening)]
        bodies = bodies or [[Text(NOTHING), Text(NOTHING), Text(NOTHING), _verdict(row.screening.overall.verdict)]]
    names = [Text(shown(row.path)), *[Text("")] * (len(bodies) - 1)]
    times = [seconds, *[Text("")] * (len(bodies) - 1)]
    return [[name, *body, time] for name, body, time in zip(names, bodies, times, strict=True)]


def _findings(row: TableRow) -> list[list[Text]]:
    """The findings that a reader must see; those that are for completeness stand in the record."""
    notable = [f for f in by_severity(row.screening.findings if row.screening else ()) if f.severity != "info"]
    lines: list[tuple[str, str]] = [(f.severity, f.message) for f in notable[:FINDINGS_SHOWN]]
    if len(notable) > FINDINGS_SHOWN:
        lines.append(("", f"and {len(notable) - FINDINGS_SHOWN} more findings, see the record"))
    nothing = Text("")
    return [
        [nothing, Text(severity, style="dim"), nothing, nothing, Text(shown(message), style="dim"), nothing]
        for severity, message in lines
    ]


def _cells(modality: str, result: ModalityResult) -> list[Text]:
    log10_lr = Text(signed(result.log10_lr))
    interval = interval_text(result.log10_lr_low, result.log10_lr_high)
    if interval:
        log10_lr.append(f"\n{interval}", style="dim")
    verdict = _verdict(result.verdict)
    tested = stability_text(result)
    if tested:
        verdict.append(f"\n{tested}", style="dim")
    return [Text(modality), Text(score_text(result.authenticity_score)), log10_lr, verdict]


def _verdict(verdict: Verdict) -> Text:
    return Text(f"{VERDICT_SYMBOLS[verdict]} {VERDICT_WORDS[verdict]}", style=VERDICT_STYLES[verdict])
