"""``deepscreen verify``: proves what a service has kept. Thin: all work is done in ``deepscreen.store``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deepscreen.cli_errors import EXIT_FAILED_FILES, errors_to_exit_codes

if TYPE_CHECKING:
    from deepscreen.store.store import Store

DataDir = Annotated[Path | None, typer.Option(help="Folder where the service keeps its data.", show_default="setting")]


def verify(
    data_dir: DataDir = None,
    public_key: Annotated[
        str | None, typer.Option(help="Key (hex) that must have signed the checkpoints.", show_default="any")
    ] = None,
) -> None:
    """Prove the audit chain, its signatures, and every original, record and piece of evidence that is kept."""
    from deepscreen.store.verify import verify as find_flaws

    with errors_to_exit_codes(), opened_store(data_dir) as store:
        flaws = 0
        for flaw in find_flaws(store, public_key=public_key):
            typer.echo(f"{flaw.where}: {flaw.message}")
            flaws += 1
    if flaws:
        typer.echo(f"{flaws} flaws found: this store is not what the service wrote.", err=True)
        raise typer.Exit(EXIT_FAILED_FILES)
    typer.echo("All holds: audit chain, signatures, originals, records and evidence.")


@contextmanager
def opened_store(data_dir: Path | None) -> Iterator[Store]:
    """The store of the settings; raises ConfigError where they name none."""
    from deepscreen.errors import ConfigError
    from deepscreen.settings import load_settings
    from deepscreen.store.store import Store

    settings = load_settings(**({} if data_dir is None else {"data_dir": data_dir}))
    if settings.data_dir is None:
        raise ConfigError("no data folder is set; use --data-dir or DEEPSCREEN_DATA_DIR")
    store = Store.open(settings, settings.data_dir)
    try:
        yield store
    finally:
        store.close()
