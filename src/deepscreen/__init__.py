"""Deepscreen: open-source screening of suspect images, video and audio for deepfakes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deepscreen.record import Screening, Verdict
    from deepscreen.screening import ScreeningDesk, screen

__all__ = ["Screening", "ScreeningDesk", "Verdict", "screen"]

_HOMES = {
    "Screening": "deepscreen.record",
    "ScreeningDesk": "deepscreen.screening",
    "Verdict": "deepscreen.record",
    "screen": "deepscreen.screening",
}


def __getattr__(name: str) -> Any:
    """Public names are loaded when they are first used: importing the package must not load torch."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
