"""Processes of this program: what one sets for itself (only edges call that), and what those that it starts need."""

from __future__ import annotations

import gc
import os
import subprocess
from pathlib import Path

PACKAGE_FOLDER = Path(__file__).resolve().parent.parent
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


def python_path() -> str:
    """The PYTHONPATH on which a process of our own finds this very package."""
    return os.pathsep.join([str(PACKAGE_FOLDER), *filter(None, [os.environ.get("PYTHONPATH")])])


def end_or_kill(process: subprocess.Popen[bytes], *, patience_seconds: float) -> None:
    """Waits for a process that was told to end, and kills it where it takes longer."""
    try:
        process.wait(patience_seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def keep_what_is_loaded() -> None:
    """Has later collections of garbage pass over all that lives now, for as long as the process lives.

    A full collection walks every object of the libraries and networks, 0.28 s of them, and nothing answers meanwhile.
    """
    gc.collect()
    gc.freeze()
