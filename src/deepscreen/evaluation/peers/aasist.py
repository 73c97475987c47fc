"""AASIST and AASIST-L with their official weights, each on the whole recording as its authors' code takes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from deepscreen.detectors.nets.aasist import SIZES, Aasist, load_aasist, spoof_logits
from deepscreen.evaluation.peers.contract import PeerCard, PeerReading
from deepscreen.training.audio_features import load_recording
from deepscreen.training.labelled import LabelledFile
from deepscreen.weights.store import WeightsStore

TITLES = {"aasist": "AASIST", "aasist-l": "AASIST-L"}


@dataclass(frozen=True, slots=True, repr=False)
class AasistPeer:
    """One of the two networks. ``name``: of its weights in the manifest."""

    name: str
    network: Aasist

    @classmethod
    def of(cls, store: WeightsStore, name: str) -> AasistPeer:
        """With the weights *name* of *store*."""
        return cls(name, load_aasist(store.locate(name), SIZES[name]))

    @property
    def cards(self) -> tuple[PeerCard, ...]:
        """The one."""
        return (
            PeerCard(
                name=self.name,
                title=TITLES[self.name],
                version="a04c986",
                licence="MIT",
                looks_at="first 4 s, repeated where shorter",
                known_of_its_training="ASVspoof 2019 LA, training part",
            ),
        )

    def read(self, files: Sequence[LabelledFile]) -> Iterator[Mapping[str, PeerReading]]:
        """Each recording in turn; about a second of one CPU core for each."""
        for file in files:
            (logit,) = spoof_logits(self.network, [load_recording(file.path)])
            yield {self.name: PeerReading(float(logit))}
