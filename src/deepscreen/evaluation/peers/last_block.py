"""The plain baseline: a logistic regression on the last block's class token, fitted on our files and folds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deepscreen.absence import Absence
from deepscreen.evaluation.peers.contract import PeerCard, PeerReading
from deepscreen.training.fit_image import SUBJECTS
from deepscreen.training.labelled import LabelledFile
from deepscreen.training.view_fit import ReadViews, collect, last_block_probe

TITLES = {"whole": "last-block probe, whole picture", "face": "last-block probe, face crop"}


@dataclass(frozen=True, slots=True)
class LastBlockProbe:
    """On the views of one *subject*. ``folds``: of the files that will be read, in their order."""

    subject: str
    folds: NDArray[np.int64]
    features: ReadViews

    @property
    def cards(self) -> tuple[PeerCard, ...]:
        """The one."""
        return (
            PeerCard(
                name=f"last-block-{self.subject}",
                title=TITLES[self.subject],
                version="1",
                licence="ours",
                looks_at="whole picture" if self.subject == "whole" else "largest face",
                known_of_its_training="the same files in the same folds as ours: held out alike",
            ),
        )

    def read(self, files: Sequence[LabelledFile]) -> Iterator[Mapping[str, PeerReading]]:
        """Each picture by the probe that saw neither its source nor its group."""
        rows = collect(files, self.folds, self.subject, self.features)
        base = np.flatnonzero(rows.is_base)
        logits: dict[str, float] = {}
        for fold in np.unique(rows.folds):
            test = base[rows.folds[base] == fold]
            held = last_block_probe(rows, rows.folds != fold, test)
            logits |= {rows.files[k].key: float(logit) for k, logit in zip(test, held, strict=True)}
        for file in files:
            logit = logits.get(file.key)
            reading = PeerReading(logit) if logit is not None else PeerReading(None, Absence.NO_FACE.value)
            yield {self.cards[0].name: reading}


def both_probes(folds: NDArray[np.int64], features: ReadViews) -> list[LastBlockProbe]:
    """One for each subject that our detectors look at."""
    return [LastBlockProbe(subject, folds, features) for subject in SUBJECTS.values()]
