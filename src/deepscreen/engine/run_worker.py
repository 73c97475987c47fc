"""A worker as a process of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from deepscreen.engine.about import method_info
from deepscreen.engine.worker import Worker
from deepscreen.errors import ConfigError
from deepscreen.screening import ScreeningDesk
from deepscreen.settings import Settings
from deepscreen.store.computations import Queue
from deepscreen.store.store import Store

logger = logging.getLogger(__name__)


def run_worker(
    settings: Settings,
    ending: threading.Event,
    *,
    desk_factory: Callable[[Settings], ScreeningDesk],
    is_candidate: bool = False,
) -> None:
    """Works until *ending* is set; raises ConfigError, StoreError or WeightsError where it cannot begin."""
    if settings.data_dir is None:
        raise ConfigError("a worker needs the data_dir of its service, or database_url, blob_url and one of its own")
    desk = desk_factory(settings)
    store = Store.open(settings, settings.data_dir)
    queue = Queue(
        store.database, lease_seconds=settings.worker_lease_seconds, max_deaths_alone=settings.max_deaths_alone
    )
    worker = Worker(store, desk, queue, about=method_info(desk).model_dump(mode="json"), is_candidate=is_candidate)
    worker.start()
    logger.info("worker %s is ready: method %s", worker.id, desk.provenance.method_digest[:12])
    ending.wait()
    worker.stop()
    desk.close()
    store.close()
