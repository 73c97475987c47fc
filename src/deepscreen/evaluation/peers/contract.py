"""What a peer is: somebody else's detector, or a plain baseline, whose scores are set beside ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from deepscreen.training.labelled import LabelledFile


@dataclass(frozen=True, slots=True)
class PeerCard:
    """Who a peer is. ``version`` changes whenever its scores may; ``looks_at``: what of a picture it is shown."""

    name: str
    title: str
    version: str
    licence: str
    looks_at: str
    known_of_its_training: str


@dataclass(frozen=True, slots=True)
class PeerReading:
    """Log-odds, above 0 for spoof; or None, and why there are none."""

    spoof_logit: float | None
    absence: str = ""


class Peer(Protocol):
    """One peer, or several that share their work on a picture."""

    @property
    def cards(self) -> tuple[PeerCard, ...]:
        """Who gives readings."""

    def read(self, files: Sequence[LabelledFile]) -> Iterator[Mapping[str, PeerReading]]:
        """For each file in turn the readings by name of card. Raises DetectorError where the peer breaks down."""
