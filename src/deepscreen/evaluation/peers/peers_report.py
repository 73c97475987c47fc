"""The report of ``deepscreen peers``: ours and the peers on the same files, by family of forgery."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from deepscreen.evaluation.evaluation_report import Coverage, coverage_of
from deepscreen.evaluation.peers.contenders import Contender
from deepscreen.evaluation.peers.contract import PeerCard
from deepscreen.evaluation.peers.duel import Duel, duel, of_kinds
from deepscreen.evaluation.strata import Figures, measure
from deepscreen.training.image_report import FAMILIES

COMMAND = "deepscreen peers --manifest MANIFEST --cache CACHE --mesonet MESONET --out OUT"
SPEECH_COMMAND = "deepscreen peers --manifest MANIFEST --cache CACHE --out OUT"
SPEECH_FAMILIES: Mapping[str, frozenset[str] | None] = {
    "all": None,
    "text to speech": frozenset({"neural_tts", "classical_tts", "speech_lm", "speech_translation"}),
    "voice conversion": frozenset({"voice_conversion"}),
    "recordings synthesised again": frozenset(
        {"vocoder_copy_synthesis", "copy_synthesis", "neural_codec_resynthesis", "unit_resynthesis"}
    ),
}


@dataclass(frozen=True, slots=True)
class Family:
    """Spoofs of one family against all bona fide files. ``ours``: on all files that we scored."""

    name: str
    ours: Figures
    duels: tuple[Duel, ...]


@dataclass(frozen=True, slots=True)
class PeersReport:
    """All that peers.json holds. ``coverage``: by name of contender, of all files of the data set."""

    schema_version: int
    command: str
    data_set: str
    reader: str
    seed: int
    method: Mapping[str, str]
    peers: tuple[PeerCard, ...]
    coverage: Mapping[str, Coverage]
    families: tuple[Family, ...]

    def as_json(self) -> str:
        """JSON, the same text for the same report."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def peers_report(
    ours: Contender,
    peers: Sequence[tuple[PeerCard, Contender]],
    *,
    data_set: str,
    reader: str,
    seed: int,
    method: Mapping[str, str],
) -> PeersReport:
    """All figures. A family of which the data set has no spoof is left out."""
    is_speech = any(row.modality == "audio" for row in ours.rows)
    families = SPEECH_FAMILIES if is_speech else FAMILIES
    contenders = [ours, *(contender for _, contender in peers)]
    present = {row.kind for row in ours.scores.rows if row.label == 1}
    return PeersReport(
        schema_version=1,
        command=SPEECH_COMMAND if is_speech else COMMAND,
        data_set=data_set,
        reader=reader,
        seed=seed,
        method=method,
        peers=tuple(card for card, _ in peers),
        coverage={contender.name: coverage_of(contender.rows) for contender in contenders},
        families=tuple(
            Family(
                name,
                measure(of_kinds(ours.scores, kinds), name),
                tuple(duel(ours, contender, kinds, name) for _, contender in peers),
            )
            for name, kinds in families.items()
            if kinds is None or kinds & present
        ),
    )
