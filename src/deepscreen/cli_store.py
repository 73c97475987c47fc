"""``deepscreen verify``, ``rescreen`` and ``clean``, on what a service has kept; thin: ``deepscreen.store`` works."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deepscreen.cli_errors import EXIT_FAILED_FILES, errors_to_exit_codes

if TYPE_CHECKING:
    from deepscreen.store.computations import Queue
    from deepscreen.store.methods import MethodLoad, Stale
    from deepscreen.store.store import Store

DataDir = Annotated[Path | None, typer.Option(help="Folder where the service keeps its data.", show_default="setting")]


def verify(
    data_dir: DataDir = None,
    public_key: Annotated[
        str | None, typer.Option(help="Key (hex) that must have signed the checkpoints.", show_default="any")
    ] = None,
    timestamp_ca: Annotated[
        Path | None,
        typer.Option(help="Root certificates (PEM) of the time-stamping authority.", show_default="setting"),
    ] = None,
) -> None:
    """Prove the audit chain, signatures, time stamps, and every original, record and piece of evidence that is kept."""
    from deepscreen.settings import load_settings
    from deepscreen.store.authority import read_roots
    from deepscreen.store.verify import verify as find_flaws

    with errors_to_exit_codes(), opened_store(data_dir) as store:
        ca_file = timestamp_ca or load_settings().timestamp_ca_file
        roots = read_roots(ca_file) if ca_file is not None else ()
        flaws = 0
        for flaw in find_flaws(store, public_key=public_key, timestamp_roots=roots):
            typer.echo(f"{flaw.where}: {flaw.message}")
            flaws += 1
    if flaws:
        typer.echo(f"{flaws} flaws found: this store is not what the service wrote.", err=True)
        raise typer.Exit(EXIT_FAILED_FILES)
    typer.echo("All holds: audit chain, signatures, originals, records and evidence.")


def rescreen(
    data_dir: DataDir = None,
    is_stale: Annotated[bool, typer.Option("--stale", help="Queue what was screened by another method.")] = False,
    is_waiting: Annotated[
        bool, typer.Option("--waiting", help="Move what waits for a method that no live worker has.")
    ] = False,
    with_final: Annotated[bool, typer.Option("--final", help="With --stale: reviewed results too.")] = False,
) -> None:
    """List what today's method has not screened, or have it screened; old results stay, beside the new ones.

    Today's method is that of the newest living worker.
    """
    from deepscreen.errors import ConfigError
    from deepscreen.store.methods import method_loads, move_waiting, stale
    from deepscreen.store.methods import rescreen as queue_again
    from deepscreen.store.screenings import Screenings

    with errors_to_exit_codes(), opened_store(data_dir) as store:
        queue = _queue(store)
        newest = queue.latest_worker()
        if newest is None:
            raise ConfigError("no worker has ever signed on to this database: today's method is not known")
        method: str = newest.method_digest
        old = [item for item in stale(store.database, method) if with_final or not item.is_final]
        if not is_stale and not is_waiting:
            _list_methods(method, method_loads(store.database), old)
        if is_waiting:
            typer.echo(f"{move_waiting(store.database, queue, method)} waiting computations moved to {method[:12]}.")
        if is_stale:
            asked = Screenings(store, queue)
            queued = sum(queue_again(asked, item, method_digest=method) is not None for item in old)
            typer.echo(f"{queued} of {len(old)} screenings queued for {method[:12]}.")


def clean(
    data_dir: DataDir = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
) -> None:
    """Delete what the retention policy lets go, and remove blobs that nothing refers to; the service does so hourly."""
    from deepscreen.settings import load_settings
    from deepscreen.store.removal import unneeded
    from deepscreen.store.retention import clean as clean_store
    from deepscreen.store.retention import expired
    from deepscreen.store.screenings import Screenings

    with errors_to_exit_codes(), opened_store(data_dir) as store:
        days = load_settings().retention_days
        if dry_run:
            old = [] if days is None else expired(store.database, days)
            for line in (*(f"screening {name}" for name in old), *(f"blob {name}" for name in unneeded(store))):
                typer.echo(line)
            return
        certificates, swept = clean_store(store, Screenings(store, _queue(store)), retention_days=days)
        for entry in certificates:
            typer.echo(f"deleted {entry.subject}: audit entry {entry.seq}")
        typer.echo(f"{len(certificates)} screenings deleted by the retention policy, {swept} other blobs removed.")


def _queue(store: Store) -> Queue:
    from deepscreen.settings import load_settings
    from deepscreen.store.computations import Queue

    settings = load_settings()
    return Queue(
        store.database, lease_seconds=settings.worker_lease_seconds, max_deaths_alone=settings.max_deaths_alone
    )


def _list_methods(method: str, loads: list[MethodLoad], old: list[Stale]) -> None:
    typer.echo(f"Today's method: {method}")
    for load in loads:
        typer.echo(f"method {load.method_digest[:12]}: {load.queued} wait, {load.live_workers} workers")
    for item in old:
        typer.echo(f"stale {item.id} {item.media_sha256} method {item.method_digest[:12]}")
    typer.echo(f"{len(old)} screenings of other methods; `deepscreen rescreen --stale` queues them.")


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
