"""From a detector's maps and timelines to named pictures and their entries in the record."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from deepscreen.detectors.contract import (
    DetectorCard,
    Faithfulness,
    SaliencyMap,
    Scored,
    SpectrogramSaliency,
    TimelinePoint,
)
from deepscreen.evidence.render import is_shown, render_heatmap, render_spectrogram, render_timeline
from deepscreen.evidence.scale import SCALE_HIGH, SCALE_LOW, SCALE_UNIT, to_levels
from deepscreen.evidence.timeline_drawing import LOGIT_HIGH, LOGIT_LOW
from deepscreen.media.samples import Pixels
from deepscreen.record import Caveat, Evidence, FaithfulnessRecord, SaliencyGrid

CORNERS = np.array([[0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]], dtype=np.float64)
SUBJECT_WORDS = {"whole": "whole picture", "face": "face"}


@dataclass(frozen=True, slots=True, repr=False)
class Exhibit:
    """One evidence picture: its entry in the record and its PNG bytes."""

    entry: Evidence
    png: bytes


def exhibits(
    card: DetectorCard,
    scored: Scored,
    *,
    pixels: Pixels | None,
    spans: Sequence[TimelinePoint],
    duration_seconds: float,
    max_pixels: int,
) -> tuple[list[Exhibit], list[Caveat]]:
    """All pictures of one detector's result, and a caveat for each map that is withheld.

    ``pixels``: the picture that maps without a time lie on; maps with one lie on ``scored.telling_frames``.
    """
    made, caveats = [], []
    for saliency in scored.maps:
        if not is_shown(saliency):
            caveats.append(_withheld(card, f"heatmap of the {SUBJECT_WORDS[saliency.subject]}", saliency.faithfulness))
            continue
        made.append(_heatmap(card, saliency, _canvas(saliency, scored, pixels), max_pixels))
    for spectrogram in scored.spectrograms:
        if not is_shown(spectrogram):
            caveats.append(_withheld(card, "spectrogram saliency", spectrogram.faithfulness))
            continue
        made.append(_spectrogram(card, spectrogram))
    if scored.timeline:
        made.append(_timeline(card, scored.timeline, spans, duration_seconds))
    return made, caveats


def _canvas(saliency: SaliencyMap, scored: Scored, pixels: Pixels | None) -> Pixels:
    if saliency.pts_seconds is None:
        if pixels is None:
            raise ValueError("a map without a time needs the picture that it lies on")
        return pixels
    return next(f.pixels for f in scored.telling_frames if f.pts_seconds == saliency.pts_seconds)


def _heatmap(card: DetectorCard, saliency: SaliencyMap, pixels: Pixels, max_pixels: int) -> Exhibit:
    title = f"{card.name} {card.version}: {SUBJECT_WORDS[saliency.subject]}"
    png = render_heatmap(pixels, [saliency], title=title, max_pixels=max_pixels)
    corners = tuple((round(float(x), 1), round(float(y), 1)) for x, y in CORNERS @ saliency.to_source.T)
    return _exhibit(
        f"{card.name}-heatmap-{saliency.subject}.png",
        png,
        kind="heatmap",
        detector=card.name,
        subject=saliency.subject,
        scale_low=SCALE_LOW,
        scale_high=SCALE_HIGH,
        faithfulness=_faithfulness(saliency.faithfulness),
        region_px=corners,
        grid=_grid(saliency),
        pts_seconds=None if saliency.pts_seconds is None else round(saliency.pts_seconds, 3),
    )


def _grid(saliency: SaliencyMap) -> SaliencyGrid:
    rows, columns = saliency.values.shape
    levels = base64.b64encode(to_levels(saliency.values).tobytes()).decode("ascii")
    return SaliencyGrid(rows=rows, columns=columns, levels=levels)


def _spectrogram(card: DetectorCard, saliency: SpectrogramSaliency) -> Exhibit:
    png = render_spectrogram(saliency, title=f"{card.name} {card.version}: most telling window")
    return _exhibit(
        f"{card.name}-spectrogram.png",
        png,
        kind="spectrogram",
        detector=card.name,
        subject="sound",
        scale_low=SCALE_LOW,
        scale_high=SCALE_HIGH,
        faithfulness=_faithfulness(saliency.faithfulness),
        start_seconds=round(saliency.start_seconds, 3),
        end_seconds=round(saliency.end_seconds, 3),
    )


def _timeline(
    card: DetectorCard, points: Sequence[TimelinePoint], spans: Sequence[TimelinePoint], duration_seconds: float
) -> Exhibit:
    is_sound = card.modality == "audio"
    png = render_timeline(
        points,
        spans,
        duration_seconds=max(duration_seconds, max(p.end_seconds for p in points)),
        title=f"{card.name} {card.version}: score over time",
        untracked="sound" if is_sound else "whole frame",
    )
    return _exhibit(
        f"{card.name}-timeline.png",
        png,
        kind="timeline",
        detector=card.name,
        subject="sound" if is_sound else "clip",
        scale_low=LOGIT_LOW,
        scale_high=LOGIT_HIGH,
        start_seconds=0.0,
        end_seconds=round(duration_seconds, 3),
    )


def _exhibit(name: str, png: bytes, **fields: object) -> Exhibit:
    digest = hashlib.sha256(png).hexdigest()
    return Exhibit(Evidence.model_validate({"name": name, "sha256": digest, "scale_unit": SCALE_UNIT, **fields}), png)


def _faithfulness(check: Faithfulness) -> FaithfulnessRecord:
    return FaithfulnessRecord(
        drop_hottest=round(check.drop_hottest, 3),
        drop_random=round(check.drop_random, 3),
        masked_fraction=check.masked_fraction,
    )


def _withheld(card: DetectorCard, what: str, check: Faithfulness) -> Caveat:
    return Caveat(
        code="map_withheld",
        message=(
            f"{card.name}: the {what} is withheld: with its hottest {check.masked_fraction:.0%} masked the score moved "
            f"by {-check.drop_hottest:+.2f}, with a random {check.masked_fraction:.0%} by {-check.drop_random:+.2f}."
        ),
    )
