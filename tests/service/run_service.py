"""Runs a part of the service, on any free port, and says on standard output where it listens.

Usage: run_service.py [serve | api | worker | real-serve | real-worker]    ``api`` leaves screening to workers;
all but the real ones have FakeDetector networks.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading

from serving import build_fake_desk

from deepscreen.api.server import serve
from deepscreen.engine.run_worker import run_worker
from deepscreen.process import settle_in
from deepscreen.screening import ScreeningDesk
from deepscreen.settings import load_settings

if __name__ == "__main__":
    settle_in()
    logging.basicConfig(level=logging.INFO)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    part = sys.argv[1] if len(sys.argv) > 1 else "serve"
    build = ScreeningDesk.build if part.startswith("real-") else build_fake_desk
    if part.endswith("worker"):
        ending = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: ending.set())
        run_worker(load_settings(), ending, desk_factory=build)
    else:
        factory = None if part == "api" else build
        serve(load_settings(port=0), desk_factory=factory, announce=lambda url: sys.stdout.write(url + "\n"))
