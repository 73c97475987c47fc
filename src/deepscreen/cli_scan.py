"""``deepscreen scan``: a folder, an archive or a disk image. Thin: the work is done in ``scanning``."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from deepscreen.cli_desk import Device, Precision, Thoroughness, loaded_desk
from deepscreen.cli_errors import EXIT_FAILED_FILES, errors_to_exit_codes

if TYPE_CHECKING:
    from deepscreen.scanning.known import KnownAction
    from deepscreen.scanning.rows import Row
    from deepscreen.scanning.run import Progress
    from deepscreen.scanning.summary import Summary

SHOWN_FILES = 40


def scan(
    source: Annotated[
        Path, typer.Argument(metavar="FOLDER|ARCHIVE|IMAGE", help="What is scanned, with all that lies within it.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the lists, the gallery (index.html) and evidence/.")],
    known: Annotated[
        Path | None, typer.Option(help="List of hashes of known files (sha256 or MD5), one a line.")
    ] = None,
    known_action: Annotated[str, typer.Option(help="What is done with known files: skip, or flag.")] = "skip",
    shard: Annotated[
        str | None, typer.Option(help="NUMBER/OF: this machine's part of the folder; each needs an --out of its own.")
    ] = None,
    watch: Annotated[
        float | None,
        typer.Option(min=0.1, help="Look again every so many seconds for files that have come, until Ctrl-C."),
    ] = None,
    parquet: Annotated[bool, typer.Option("--parquet", help="Write records.parquet too (needs pyarrow).")] = False,
    device: Device = None,
    precision: Precision = None,
    profile: Thoroughness = None,
) -> None:
    """Screen every file of a folder, archive or disk image, also those within archives, documents and e-mail.

    What is scanned is only read. Run again with the same --out, it goes on where it was: what this method has screened
    already is not screened again, also after kill -9.
    """
    with errors_to_exit_codes():
        from deepscreen.scanning.listing import folder_of, shard_of
        from deepscreen.scanning.run import JOURNAL_NAME, ScanOptions
        from deepscreen.scanning.run import scan as scan_source

        options = ScanOptions(
            known=known,
            known_action=_known_action(known_action),
            shard=None if shard is None else shard_of(shard),
            watch_seconds=watch,
            with_parquet=parquet,
        )
        folder_of(source)  # what is wrong with it is said before anything heavy is loaded
        with loaded_desk(device, precision, profile) as desk, _progress() as progress:
            summary = scan_source(source, out, desk=desk, options=options, progress=progress)
        _print_results(out / JOURNAL_NAME, out, summary)
    raise typer.Exit(EXIT_FAILED_FILES if summary.failed else 0)


def scan_join(
    shards: Annotated[list[Path], typer.Argument(metavar="DIR...", help="The --out folders of all shards of a scan.")],
    out: Annotated[Path, typer.Option(help="Folder for the joined lists, gallery and evidence/; empty or not there.")],
    parquet: Annotated[bool, typer.Option("--parquet", help="Write records.parquet too (needs pyarrow).")] = False,
) -> None:
    """Join the results of all shards of a scan (scan --shard) into one, as if one machine had scanned it all.

    The shards are only read. Results are copied, so that --out stands on its own.
    """
    with errors_to_exit_codes():
        from deepscreen.scanning.join import join
        from deepscreen.scanning.run import JOURNAL_NAME

        with Console(stderr=True).status("joining"):
            summary = join(shards, out, with_parquet=parquet)
        _print_results(out / JOURNAL_NAME, out, summary)
    raise typer.Exit(EXIT_FAILED_FILES if summary.failed else 0)


def _known_action(text: str) -> KnownAction:
    from deepscreen.errors import ConfigError

    actions: dict[str, KnownAction] = {"skip": "skip", "flag": "flag"}
    if text not in actions:
        raise ConfigError(f"--known-action {text}: want skip or flag")
    return actions[text]


@contextmanager
def _progress() -> Iterator[Progress]:
    """A line on standard error: files of the folder that are done, how long it will take, and what was found."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Line

    from deepscreen.scanning.run import Progress

    columns = (TextColumn("screening"), BarColumn(bar_width=20), MofNCompleteColumn(), TimeElapsedColumn())
    more = (TextColumn("left"), TimeRemainingColumn(), TextColumn("{task.fields[told]}"))
    with Line(*columns, *more, console=Console(stderr=True)) as line:
        task = line.add_task("", total=None, told="")
        kinds: Counter[str] = Counter()
        start = time.monotonic()

        def begun(total: int) -> None:
            line.reset(task, total=total, told="")

        def done(row: Row) -> None:
            kinds[row.kind or str(row.outcome)] += 1
            rate = kinds.total() / max(time.monotonic() - start, 1e-6)
            told = ", ".join(f"{kind} {n}" for kind, n in sorted(kinds.items()))
            line.update(task, advance=row.container is None, told=f"{rate:.2g} files/s: {told.replace('_', ' ')}")

        yield Progress(begun, done)


def _print_results(journal_path: Path, out: Path, summary: Summary) -> None:
    """Few files as they are, of many those that matter most; then the counts."""
    from contextlib import closing

    from deepscreen.report.as_table import TableRow, results_table
    from deepscreen.scanning.journal import Journal
    from deepscreen.scanning.lists import INDEX_NAME, read_screening

    with closing(Journal(journal_path)) as journal:
        is_short = summary.seen <= SHOWN_FILES
        rows = list(journal.rows()) if is_short else journal.strongest(SHOWN_FILES)
    if not is_short:
        typer.echo(f"The {len(rows)} files that speak most for synthetic or manipulated:")
    told = [
        TableRow(os.fsdecode(row.way), read_screening(out, row), row.error_text or row.reason, row.seconds)
        for row in rows
    ]
    Console().print(results_table(told))
    typer.echo(summary.sentence())
    if summary.repeats:
        typer.echo(f"{summary.repeats} of them hold what another holds; each content was screened once.")
    if summary.on_known_list:
        typer.echo(f"{summary.on_known_list} of them are on the list of known files.")
    typer.echo(f"Gallery with heatmaps: {(out / INDEX_NAME).resolve()}")
