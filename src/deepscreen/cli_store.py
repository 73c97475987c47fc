"""``deepscreen verify`` and ``rescreen``, on what a service has kept. Thin: work is done in ``deepscreen.store``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deepscreen.cli_errors import EXIT_FAILED_FILES, errors_to_exit_codes

if TYPE_CHECKING:
    from deepscreen.store.methods import MethodLoad, Stale
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
    from deepscreen.settings import load_settings
    from deepscreen.store.computations import Queue
    from deepscreen.store.methods import method_loads, move_waiting, stale
    from deepscreen.store.methods import rescreen as queue_again
    from deepscreen.store.screenings import Screenings

    with errors_to_exit_codes(), opened_store(data_dir) as store:
        settings = load_settings()
        queue = Queue(
            store.database, lease_seconds=settings.worker_lease_seconds, max_deaths_alone=settings.max_deaths_alone
        )
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
