"""The table of detectors. A row is a name and the function that builds it; nothing registers itself on import."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from deepscreen.detectors.catalogue.rows import Catalogue
from deepscreen.detectors.clip_features import ClipFeatures
from deepscreen.detectors.contract import Detector
from deepscreen.detectors.device import ComputePlan
from deepscreen.detectors.nets.clip import WEIGHTS_NAME as CLIP_NAME
from deepscreen.detectors.nets.clip import ClipBackbone
from deepscreen.weights.store import WeightsStore, load_tensors

if TYPE_CHECKING:
    from collections.abc import Callable

DETECTORS: Mapping[str, str] = MappingProxyType(
    {
        "image_clip": "deepscreen.detectors.image_clip:build",
        "face_clip": "deepscreen.detectors.face_clip:build",
        "video_clip": "deepscreen.detectors.video_clip:build",
        "audio_whisper": "deepscreen.detectors.audio_whisper:build",
        "audio_aasist": "deepscreen.detectors.audio_aasist:build",
    }
)
OFF_BY_DEFAULT = frozenset({"audio_aasist"})  # run where the setting of that name says so; without a
# calibration: their readings are reported and never decide


@dataclass(frozen=True)
class Workshop:
    """What detectors are built from: proven weights and a compute plan; backbones are loaded once and shared."""

    store: WeightsStore
    plan: ComputePlan

    @cached_property
    def clip_features(self) -> ClipFeatures:
        """The shared CLIP backbone."""
        weights = self.store.locate(CLIP_NAME)
        p = self.plan
        return ClipFeatures(ClipBackbone(weights, device=p.device, precision=p.precision, batch_size=p.batch_size))

    def head_arrays(self, name: str) -> dict[str, NDArray[Any]]:
        """The arrays of one of our own heads, proven against the manifest."""
        return {key: tensor.numpy() for key, tensor in load_tensors(self.store.locate(name)).items()}


def build_detector(name: str, workshop: Workshop) -> Detector:
    """Builds the detector of row *name* of ``DETECTORS``."""
    module_name, _, function_name = DETECTORS[name].partition(":")
    build: Callable[[Workshop], Detector] = getattr(import_module(module_name), function_name)
    detector = build(workshop)
    if detector.card.name != name:
        raise ValueError(f"DETECTORS[{name!r}] builds a detector that calls itself {detector.card.name!r}")
    return detector


def build_detectors(workshop: Workshop, switched_on: Container[str] = frozenset()) -> tuple[Detector, ...]:
    """All detectors that are on by default or *switched_on*, in the table's order."""
    names = [name for name in DETECTORS if name not in OFF_BY_DEFAULT or name in switched_on]
    return tuple(build_detector(name, workshop) for name in names)


def build_plugins(catalogue: Catalogue, plan: ComputePlan) -> tuple[Detector, ...]:
    """The detectors of *catalogue*, in its order; raises WeightsError where a checkpoint is not what its row says."""
    if not catalogue.plugin:
        return ()
    from deepscreen.detectors.catalogue.build import build_plugin

    return tuple(build_plugin(row, plan.device) for row in catalogue.plugin)
