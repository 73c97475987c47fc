"""What a whole process sets for itself at its start, before any library is loaded. Only edges call this."""

from __future__ import annotations

import os

SETTINGS = {
    # Threads of a network that wait must sleep, not spin: beside one other busy process (a decoder, a second
    # screening) spinning threads made a backbone pass up to seven times as slow; alone they gain nothing.
    "OMP_WAIT_POLICY": "passive",
    # OpenCV warns about a default of its own each time the face detector is made; errors still show.
    "OPENCV_LOG_LEVEL": "ERROR",
}


def settle_in() -> None:
    """Sets the environment that torch and OpenCV read when they are loaded; what is set already stands."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
