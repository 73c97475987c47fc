"""An item as its page shows it: what the script of the viewer needs, and what stands beside it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from deepscreen.api.envelopes import path_of
from deepscreen.evidence.scale import SCALE_HIGH, SCALE_LOW, colours, opacities
from deepscreen.evidence.spectrogram import LEFT_PX, PLOT_HEIGHT_PX, RIGHT_PX, TOP_PX
from deepscreen.record import Evidence, Screening
from deepscreen.report import wording
from deepscreen.report.language import Language
from deepscreen.store.screenings import Item
from deepscreen.web.lanes import Lane, duration_of, lanes_of
from deepscreen.web.meaning import Meaning, meanings

LEGEND_STEPS = 48
# What browsers show or play by themselves; for other pictures the service decodes a copy.
SHOWN_TYPES = frozenset({"image/jpeg", "image/png", "image/webp", "image/gif", "image/bmp", "image/avif"})


@dataclass(frozen=True, slots=True)
class ItemView:
    """A screening that is done."""

    item: Item
    screening: Screening
    data: dict[str, Any]
    lanes: tuple[Lane, ...]
    meanings: tuple[Meaning, ...]
    duration_seconds: float

    @property
    def pictures(self) -> list[tuple[str, Evidence]]:
        """Every evidence picture with its address."""
        entries = [entry for _, result in wording.in_order(self.screening) for entry in result.evidence]
        return [(_file(self.item, entry.sha256), entry) for entry in entries]


def item_view(item: Item, screening: Screening, language: Language) -> ItemView:
    """What the page of a done screening shows."""
    return ItemView(
        item=item,
        screening=screening,
        data=_data(item, screening),
        lanes=lanes_of(screening),
        meanings=meanings(screening, language),
        duration_seconds=duration_of(screening),
    )


def legend() -> list[dict[str, Any]]:
    """The fixed colour scale in steps, for the legend: place from 0 to 100, colour and opacity."""
    levels = np.linspace(0, len(colours()) - 1, LEGEND_STEPS).round().astype(int)
    width = 100 / LEGEND_STEPS
    return [
        {
            "x": round(k * width, 3),
            "width": round(width + 0.1, 3),
            "colour": "rgb({},{},{})".format(*map(int, colours()[level])),
            "opacity": round(float(opacities()[level]), 3),
        }
        for k, level in enumerate(levels)
    ]


@lru_cache(maxsize=1)
def _scale() -> dict[str, Any]:
    alpha = np.rint(opacities() * 255).astype(np.uint8)[:, None]
    table = np.concatenate([colours(), alpha], axis=1)
    return {"low": SCALE_LOW, "high": SCALE_HIGH, "rgba": base64.b64encode(table.tobytes()).decode("ascii")}


def _file(item: Item, sha256: str) -> str:
    return f"{path_of(item)}/files/{sha256}"


def _data(item: Item, screening: Screening) -> dict[str, Any]:
    """For the script, as JSON. Places are source pixels of the upright picture, times are seconds."""
    media = screening.media
    seen = next((stream for stream in media.streams if stream.width_px), None)
    evidence = [entry for _, result in wording.in_order(screening) for entry in result.evidence]
    picture = screening.modalities.get("image")
    # Whether a browser plays a clip shows when it tries.
    is_shown = media.kind == "audio" or (media.kind == "image" and media.mime in SHOWN_TYPES)
    return {
        "id": item.id,
        "kind": media.kind,
        "mime": media.mime,
        "original": _file(item, media.sha256),
        "preview": None if is_shown else f"{path_of(item)}/preview",
        "width": seen.width_px if seen else None,
        "height": seen.height_px if seen else None,
        "frameRate": next((s.frame_rate_claimed for s in media.streams if s.frame_rate_claimed), None),
        "duration": duration_of(screening),
        "scale": _scale(),
        "layers": [_layer(entry) for entry in evidence if entry.grid is not None],
        "faces": list(picture.faces_px) if picture else [],
        "spectrograms": [_spectrogram(item, entry) for entry in evidence if entry.kind == "spectrogram"],
    }


def _layer(entry: Evidence) -> dict[str, Any]:
    assert entry.grid is not None, "a layer is made of a map"
    return {
        "name": entry.name,
        "region": entry.region_px,
        "rows": entry.grid.rows,
        "columns": entry.grid.columns,
        "levels": entry.grid.levels,
        "pts": entry.pts_seconds,
    }


def _spectrogram(item: Item, entry: Evidence) -> dict[str, Any]:
    """The picture, and where in it the plot lies: axes stand around it, and only the plot is laid into the clock."""
    plot = {"left": LEFT_PX, "top": TOP_PX, "width": RIGHT_PX - LEFT_PX, "height": PLOT_HEIGHT_PX}
    href = _file(item, entry.sha256)
    return {"href": href, "start": entry.start_seconds, "end": entry.end_seconds, "plot": plot}
