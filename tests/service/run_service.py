"""Runs the service on the fake desk, on any free port, and says on standard output where it listens."""

from __future__ import annotations

import logging
import sys

from serving import build_fake_desk

from deepscreen.api.server import serve
from deepscreen.settings import load_settings

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    serve(load_settings(port=0), desk_factory=build_fake_desk, announce=lambda url: sys.stdout.write(url + "\n"))
