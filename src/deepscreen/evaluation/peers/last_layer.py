"""The plain baseline for speech: a logistic regression on Whisper's last layer, fitted on our files and folds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from deepscreen.evaluation.peers.contract import PeerCard, PeerReading
from deepscreen.training.labelled import LabelledFile


@dataclass(frozen=True, slots=True, repr=False)
class LastLayerProbe:
    """``logits``: held out, by key, from ``score_speech_held_out``."""

    logits: Mapping[str, float]

    @property
    def cards(self) -> tuple[PeerCard, ...]:
        """The one."""
        return (
            PeerCard(
                name="last-layer",
                title="last-layer Whisper probe",
                version="1",
                licence="ours",
                looks_at="first 3 s with speech",
                known_of_its_training="the same files in the same folds as ours: held out alike",
            ),
        )

    def read(self, files: Sequence[LabelledFile]) -> Iterator[Mapping[str, PeerReading]]:
        """Each recording by the probe that saw neither its source nor its group."""
        return ({"last-layer": PeerReading(self.logits[file.key])} for file in files)
