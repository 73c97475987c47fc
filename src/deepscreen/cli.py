"""The command line: thin, and quick to start; everything heavy is loaded by the command that needs it.

Exit codes: 0 all files screened; 1 at least one file could not be screened; 2 wrong option or setting;
3 weights or calibrations missing or changed; 130 interrupted.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from deepscreen import (
    cli_attacks,
    cli_backup,
    cli_calibrate,
    cli_evaluate,
    cli_fit,
    cli_keys,
    cli_maps,
    cli_peers,
    cli_register,
    cli_report,
    cli_scan,
    cli_spans,
    cli_store,
    cli_weights,
    cli_worker,
)
from deepscreen.cli_desk import Device, Precision, Thoroughness, loaded_desk, settings_of
from deepscreen.cli_errors import EXIT_FAILED_FILES, EXIT_INTERRUPTED, errors_to_exit_codes
from deepscreen.process import settle_in

if TYPE_CHECKING:
    from rich.progress import Progress

    from deepscreen.scanning.single import ScannedFile
    from deepscreen.screening import ScreeningDesk

HELP = """Screen images, videos and sound for deepfakes: calibrated, explained, offline.

Exit codes: 0 all files screened, 1 at least one could not be, 2 wrong option or setting, 3 weights missing or changed,
130 interrupted."""

app = typer.Typer(no_args_is_help=True, help=HELP, pretty_exceptions_enable=False, rich_markup_mode=None)
app.add_typer(cli_weights.app, name="weights")
app.add_typer(cli_fit.app, name="fit")
app.add_typer(cli_keys.app, name="keys")
app.add_typer(cli_register.app, name="register")
app.command("calibrate")(cli_calibrate.calibrate)
app.command("evaluate")(cli_evaluate.evaluate)
app.command("evaluate-attacks")(cli_attacks.evaluate_attacks)
app.command("evaluate-maps")(cli_maps.evaluate_maps)
app.command("evaluate-spans")(cli_spans.evaluate_spans)
app.command("peers")(cli_peers.peers)
app.command("scan")(cli_scan.scan)
app.command("scan-join")(cli_scan.scan_join)
app.command("report")(cli_report.report)
app.command("export")(cli_report.export)
app.command("verify")(cli_store.verify)
app.command("backup")(cli_backup.backup)
app.command("restore")(cli_backup.restore)
app.command("clean")(cli_store.clean)
app.command("rescreen")(cli_store.rescreen)
app.command("worker")(cli_worker.worker)


@app.command()
def screen(
    files: Annotated[list[Path], typer.Argument(help="Images, videos or sound files.")],
    json: Annotated[bool, typer.Option("--json", help="One envelope a line with the canonical record.")] = False,
    evidence: Annotated[Path | None, typer.Option(help="Folder for the evidence pictures.")] = None,
    device: Device = None,
    precision: Precision = None,
    profile: Thoroughness = None,
) -> None:
    """Screen single files and print a table, or records with --json."""
    with errors_to_exit_codes(), loaded_desk(device, precision, profile) as desk:
        failed = _screen_files(files, desk, as_json=json, evidence=evidence)
    raise typer.Exit(EXIT_FAILED_FILES if failed else 0)


def _screen_files(files: list[Path], desk: ScreeningDesk, *, as_json: bool, evidence: Path | None) -> int:
    from deepscreen.kept import KeptResults
    from deepscreen.report.as_json import envelope_line
    from deepscreen.scanning.single import scan_file

    kept = KeptResults(evidence, desk.provenance) if evidence is not None else None
    items = []
    with _progress() as progress:
        files_done = _FilesDone(progress, len(files))
        for path in files:
            item = scan_file(Path(), path, desk, kept, on_progress=files_done.within)
            files_done.one_more()
            items.append(item)
            if as_json:
                sys.stdout.buffer.write(envelope_line(os.fsencode(path), screening=item.screening, error=item.error))
                sys.stdout.buffer.flush()
    if not as_json:
        _print_table(items)
    return sum(item.error is not None for item in items)


@app.command()
def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to bind to; beyond loopback only with keys.", show_default="127.0.0.1")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 takes a free one.", show_default="8321")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder where results are kept.")] = None,
    has_worker: Annotated[bool, typer.Option("--worker/--no-worker", help="Screen in this process too.")] = True,
    device: Device = None,
    precision: Precision = None,
    profile: Thoroughness = None,
) -> None:
    """Run the HTTP service with its console for browsers; it screens itself, unless workers do."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    with errors_to_exit_codes():
        from deepscreen.api.server import serve as serve_http
        from deepscreen.web.pages import install

        settings = settings_of(device, precision, profile=profile, host=host, port=port, data_dir=data_dir)
        if has_worker:
            serve_http(settings, announce=typer.echo, pages=install)
        else:
            serve_http(settings, desk_factory=None, announce=typer.echo, pages=install)


@app.command()
def info() -> None:
    """Show version, folders, device, precision, limits and all settings."""
    with errors_to_exit_codes():
        from deepscreen.cli_info import print_info

        print_info(settings_of(None, None))


@app.command()
def detectors() -> None:
    """Show the detectors: what each looks for, on what, with which weights."""
    with errors_to_exit_codes():
        from deepscreen.cli_info import print_detectors

        print_detectors(settings_of(None, None))


def main() -> None:
    """Entry point of the ``deepscreen`` command."""
    settle_in()
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


@contextmanager
def _progress() -> Iterator[Progress]:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("left"), TimeRemainingColumn(), console=Console(stderr=True)) as progress:
        yield progress


class _FilesDone:
    """How far a bar is: files that are done, and of the present one the share of its sound that is read."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._n_done = progress, 0
        self._task = progress.add_task("screening", total=total)

    def within(self, share: float) -> None:
        self._progress.update(self._task, completed=self._n_done + share)

    def one_more(self) -> None:
        self._n_done += 1
        self._progress.update(self._task, completed=self._n_done)


def _print_table(items: list[ScannedFile]) -> None:
    from deepscreen.report.as_table import TableRow, results_table

    rows = [
        TableRow(str(i.path), i.screening, f"{type(i.error).__name__}: {i.error}" if i.error else None, i.seconds)
        for i in items
    ]
    Console().print(results_table(rows))
