"""``image_clip``: is the picture as a whole synthetic, or altered in a part of it?

Frozen CLIP ViT-B/16 on the whole picture at 224 px; heads on class tokens of six blocks and on patches.
A gate on the same tokens turns away what is no photograph: what the heads say of a drawing or a chart is chance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deepscreen.absence import Absence, NotScored
from deepscreen.detectors.clip_features import ClipFeatures
from deepscreen.detectors.contract import DetectorCard, ImageSample, Reading, SaliencyMap, Sample, Scored
from deepscreen.detectors.linear_head import LinearHead
from deepscreen.detectors.view_head import ViewHead, faithfulness
from deepscreen.detectors.views import MIN_PICTURE_PX

if TYPE_CHECKING:
    from deepscreen.detectors.registry import Workshop

HEAD_NAME = "head-image"
GATE_PREFIX = "gate"
CARD = DetectorCard(
    name="image_clip",
    modality="image",
    version="5",
    weights=("clip-vit-b16", HEAD_NAME),
    summary="Whole picture: synthetic or altered, from class and patch tokens of a frozen CLIP ViT-B/16.",
)


class ImageClip:
    """The whole-picture detector."""

    def __init__(self, features: ClipFeatures, head: ViewHead, gate: LinearHead) -> None:
        self._features, self._head, self._gate = features, head, gate

    @property
    def card(self) -> DetectorCard:
        return CARD

    def score(self, sample: Sample) -> Scored | NotScored:
        """One view, one logit, one map; two more views for the faithfulness check."""
        if not isinstance(sample, ImageSample):
            return NotScored(CARD.name, Absence.NOT_APPLICABLE, "reads pictures only")
        still = sample.still
        if min(still.width_px, still.height_px) < MIN_PICTURE_PX:
            size = f"{still.width_px} x {still.height_px}"
            return NotScored(CARD.name, Absence.TOO_SMALL, f"{size} px; at least {MIN_PICTURE_PX} px a side are needed")
        picture = self._features.picture(sample)
        view, tokens = picture.views.whole, picture.whole
        if (beyond := float(self._gate.logit(tokens.classes.ravel()))) > 0:
            detail = (
                f"no photograph: a drawing, screenshot, document or chart (log-odds {beyond:.1f} above the threshold)"
            )
            return NotScored(CARD.name, Absence.OUT_OF_DOMAIN, detail)
        logit, patches = self._head.read(tokens)
        reading = Reading(CARD.name, logit, n_samples=1)
        if not sample.wants_evidence:
            return Scored(reading)
        check = faithfulness(self._head, self._features, view.pixels, patches, logit)
        saliency = SaliencyMap(patches.astype("float32"), view.to_source, "whole", check)
        return Scored(reading, maps=(saliency,))


def build(workshop: Workshop) -> ImageClip:
    """The detector with its shipped head."""
    arrays = workshop.head_arrays(HEAD_NAME)
    return ImageClip(
        workshop.clip_features, ViewHead.from_arrays(arrays, "view"), LinearHead.from_arrays(arrays, GATE_PREFIX)
    )
