"""``face_clip``: was a face in the picture swapped, reenacted, edited or generated?

Frozen CLIP ViT-B/16 on aligned face crops; heads fitted on self-blended faces and on labelled forgeries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deepscreen.absence import Absence, NotScored
from deepscreen.detectors.clip_features import ClipFeatures
from deepscreen.detectors.contract import DetectorCard, ImageSample, Reading, SaliencyMap, Sample, Scored
from deepscreen.detectors.view_head import ViewHead, faithfulness
from deepscreen.detectors.views import MIN_FACE_PX

if TYPE_CHECKING:
    from deepscreen.detectors.registry import Workshop

HEAD_NAME = "head-face"
CARD = DetectorCard(
    name="face_clip",
    modality="image",
    version="4",
    weights=("clip-vit-b16", "yunet", HEAD_NAME),
    summary="Faces: swapped, reenacted, edited or generated, from aligned crops through a frozen CLIP ViT-B/16.",
)


class FaceClip:
    """The face detector for pictures: the most suspicious face decides."""

    def __init__(self, features: ClipFeatures, head: ViewHead) -> None:
        self._features, self._head = features, head

    @property
    def card(self) -> DetectorCard:
        return CARD

    def score(self, sample: Sample) -> Scored | NotScored:
        """The highest logit over faces, with the map of that face."""
        if not isinstance(sample, ImageSample):
            return NotScored(CARD.name, Absence.NOT_APPLICABLE, "reads pictures only")
        if not sample.faces:
            return NotScored(CARD.name, Absence.NO_FACE, "no face was found")
        picture = self._features.picture(sample)
        views = picture.views.faces
        if not views:
            largest = round(sample.faces[0].size_px)
            return NotScored(
                CARD.name, Absence.TOO_SMALL, f"largest face {largest} px; {MIN_FACE_PX:.0f} px are needed"
            )
        readings = [self._head.read(tokens) for tokens in picture.faces]
        worst = max(range(len(readings)), key=lambda k: (readings[k][0], -k))
        logit, patches = readings[worst]
        reading = Reading(CARD.name, logit, n_samples=len(views))
        if not sample.wants_evidence:
            return Scored(reading)
        check = faithfulness(self._head, self._features, views[worst].pixels, patches, logit)
        saliency = SaliencyMap(patches.astype("float32"), views[worst].to_source, "face", check)
        return Scored(reading, maps=(saliency,))


def build(workshop: Workshop) -> FaceClip:
    """The detector with its shipped head."""
    return FaceClip(workshop.clip_features, ViewHead.from_arrays(workshop.head_arrays(HEAD_NAME), "view"))
