"""``deepscreen worker``: takes screenings from the queue of a service that runs elsewhere."""

from __future__ import annotations

import logging
import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from deepscreen.cli_errors import errors_to_exit_codes


def worker(
    data_dir: Annotated[Path | None, typer.Option(help="Folder for scratch files.", show_default="setting")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N.", show_default="auto")] = None,
    precision: Annotated[str | None, typer.Option(help="auto, bf16 or fp32.", show_default="auto")] = None,
    candidate: Annotated[
        bool,
        typer.Option("--candidate", help="Only try its method, beside that at work: nothing new is queued for it."),
    ] = False,
) -> None:
    """Screen what services have queued in the database that the settings name; any number may run, on any machine."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    with errors_to_exit_codes():
        from deepscreen.engine.run_worker import run_worker
        from deepscreen.screening import ScreeningDesk
        from deepscreen.settings import load_settings

        given = {"data_dir": data_dir, "device": device, "precision": precision}
        settings = load_settings(**{name: value for name, value in given.items() if value is not None})
        ending = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: ending.set())
        run_worker(settings, ending, desk_factory=ScreeningDesk.build, is_candidate=candidate)
