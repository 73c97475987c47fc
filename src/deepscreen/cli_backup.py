"""``deepscreen backup`` and ``deepscreen restore``. Thin: all work is done in ``deepscreen.store.backup``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deepscreen.cli_errors import EXIT_FAILED_FILES, errors_to_exit_codes
from deepscreen.cli_store import DataDir, opened_store


def backup(
    folder: Annotated[Path, typer.Argument(help="Folder of the backup; used again, only new blobs are copied.")],
    data_dir: DataDir = None,
    with_key: Annotated[
        bool, typer.Option("--key/--no-key", help="With the key that signs the audit log; keep it apart otherwise.")
    ] = True,
) -> None:
    """Copy database, blobs and signing key into a folder, each blob proven; the service may go on meanwhile."""
    from deepscreen.store.backup import back_up

    with errors_to_exit_codes(), opened_store(data_dir) as store:
        about = back_up(store, folder, with_key=with_key)
    typer.echo(f"{sum(about.rows.values())} rows and {about.blobs} blobs are in {folder}.")
    if not about.has_signing_key:
        typer.echo("The signing key is not among them.")


def restore(
    folder: Annotated[Path, typer.Argument(help="Folder that `deepscreen backup` wrote.")],
    data_dir: DataDir = None,
) -> None:
    """Fill an empty store from a backup, and prove it; the database and blob store may be of another kind."""
    from deepscreen.settings import load_settings
    from deepscreen.store.authority import read_roots
    from deepscreen.store.backup import restore as fill
    from deepscreen.store.verify import verify

    with errors_to_exit_codes(), opened_store(data_dir) as store:
        about = fill(store, folder)
        ca_file = load_settings().timestamp_ca_file
        flaws = list(verify(store, timestamp_roots=read_roots(ca_file) if ca_file is not None else ()))
    for flaw in flaws:
        typer.echo(f"{flaw.where}: {flaw.message}")
    if flaws:
        typer.echo(f"{len(flaws)} flaws found: the backup is not what the service wrote.", err=True)
        raise typer.Exit(EXIT_FAILED_FILES)
    typer.echo(f"{sum(about.rows.values())} rows and {about.blobs} blobs restored, and all holds.")
