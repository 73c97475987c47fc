"""``deepscreen peers`` from labelled pictures to its report: ours held out, then every peer on what we scored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepscreen.evaluation.datasets.item import Item
from deepscreen.evaluation.held_out import score_held_out
from deepscreen.evaluation.peers.contenders import Contender, ours, peer_contender
from deepscreen.evaluation.peers.contract import Peer, PeerCard, PeerReading
from deepscreen.evaluation.peers.kept_readings import Readings, kept_readings
from deepscreen.evaluation.peers.last_block import both_probes
from deepscreen.evaluation.peers.peers_page import peers_page
from deepscreen.evaluation.peers.peers_report import PeersReport
from deepscreen.evaluation.score_rows import write_scores
from deepscreen.settings import VerdictPolicy
from deepscreen.training.fit_image import fold_of
from deepscreen.training.labelled import LabelledFile
from deepscreen.training.view_fit import ReadViews

JSON_NAME, HTML_NAME, SCORES_NAME = "peers.json", "peers.html", "scores"
Progress = Callable[[str], Callable[[], None]]  # from what is being done to what is called for each file


@dataclass(frozen=True, slots=True)
class Bout:
    """All contenders on the same items."""

    ours: Contender
    peers: tuple[tuple[PeerCard, Contender], ...]


def run_peers(
    items: Sequence[Item],
    features: ReadViews,
    outside: Sequence[Peer],
    kept: Path,
    *,
    seed: int,
    is_fused: bool,
    policy: VerdictPolicy,
    progress: Progress,
) -> Bout:
    """Scores and calibrates. ``outside``: peers besides the last-block probes, whose readings are kept in *kept*.

    Raises ConfigError as ``score_held_out`` does, and what a peer raises.
    """
    held = score_held_out(
        items, features, "source", seed=seed, is_fused=is_fused, policy=policy, on_item=progress("ours")
    )
    files = [item.file for item, row in zip(items, held.rows, strict=True) if row.is_scored]
    folds = fold_of(files)
    fold_by_key = {file.key: int(fold) for file, fold in zip(files, folds, strict=True)}
    contenders: list[tuple[PeerCard, Contender]] = []
    for peer, readings in _all_readings(files, folds, features, outside, kept, progress):
        for card in peer.cards:
            own = _of_card(card, files, readings)
            contenders.append((card, peer_contender(card, items, held.rows, own, fold_by_key, policy)))
    return Bout(ours(held.rows), tuple(contenders))


def _all_readings(
    files: Sequence[LabelledFile],
    folds: NDArray[np.int64],
    features: ReadViews,
    outside: Sequence[Peer],
    kept: Path,
    progress: Progress,
) -> Iterator[tuple[Peer, list[Readings]]]:
    for peer in outside:
        yield peer, list(kept_readings(peer, files, kept, progress(peer.cards[0].title)))
    for probe in both_probes(folds, features):
        yield probe, list(probe.read(files))


def _of_card(card: PeerCard, files: Sequence[LabelledFile], readings: Sequence[Readings]) -> Mapping[str, PeerReading]:
    return {file.key: found[card.name] for file, found in zip(files, readings, strict=True)}


def write_peers(report: PeersReport, bout: Bout, out: Path) -> None:
    """peers.json, peers.html and scores/NAME.csv for each contender, into *out*."""
    scores = out / SCORES_NAME
    scores.mkdir(parents=True, exist_ok=True)
    for contender in (bout.ours, *(one for _, one in bout.peers)):
        write_scores(scores / f"{contender.name}.csv", contender.rows)
    (out / JSON_NAME).write_text(report.as_json(), encoding="utf-8", errors="backslashreplace")
    (out / HTML_NAME).write_text(peers_page(report), encoding="utf-8", errors="backslashreplace")
