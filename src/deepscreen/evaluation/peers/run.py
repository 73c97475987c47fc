"""``deepscreen peers`` from labelled files to its report: ours held out, then every peer on what we scored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepscreen.evaluation.datasets.item import Item
from deepscreen.evaluation.held_out import score_held_out
from deepscreen.evaluation.held_out_speech import ReadSpeech, score_speech_held_out
from deepscreen.evaluation.peers.contenders import Contender, ours, peer_contender
from deepscreen.evaluation.peers.contract import Peer, PeerCard, PeerReading
from deepscreen.evaluation.peers.kept_readings import Readings, drawn_by_hash, kept_readings
from deepscreen.evaluation.peers.last_block import both_probes
from deepscreen.evaluation.peers.last_layer import LastLayerProbe
from deepscreen.evaluation.peers.peers_page import peers_page
from deepscreen.evaluation.peers.peers_report import PeersReport
from deepscreen.evaluation.score_rows import ScoreRow, write_scores
from deepscreen.settings import VerdictPolicy
from deepscreen.training.fit_image import fold_of
from deepscreen.training.labelled import LabelledFile
from deepscreen.training.view_fit import ReadViews

NOT_DRAWN = "not_drawn"
JSON_NAME, HTML_NAME, SCORES_NAME = "peers.json", "peers.html", "scores"
Progress = Callable[[str], Callable[[], None]]  # from what is being done to what is called for each file


@dataclass(frozen=True, slots=True)
class Bout:
    """All contenders on the same items."""

    ours: Contender
    peers: tuple[tuple[PeerCard, Contender], ...]


@dataclass(frozen=True, slots=True, repr=False)
class Home:
    """Ours, held out: a row for every item, the fold of each scored one; and the probes fitted in the same folds."""

    rows: tuple[ScoreRow, ...]
    fold_by_key: Mapping[str, int]
    probes: tuple[Peer, ...]


def pictures_at_home(
    items: Sequence[Item], features: ReadViews, *, is_fused: bool, policy: VerdictPolicy, progress: Progress
) -> Home:
    """Ours on pictures; raises ConfigError as ``score_held_out`` does."""
    held = score_held_out(items, features, "source", is_fused=is_fused, policy=policy, on_item=progress("ours"))
    files = [item.file for item, row in zip(items, held.rows, strict=True) if row.is_scored]
    folds: NDArray[np.int64] = fold_of(files)
    fold_by_key = {file.key: int(fold) for file, fold in zip(files, folds, strict=True)}
    return Home(held.rows, fold_by_key, tuple(both_probes(folds, features)))


def speech_at_home(items: Sequence[Item], read: ReadSpeech, *, policy: VerdictPolicy, progress: Progress) -> Home:
    """Ours on speech; raises ConfigError as ``score_speech_held_out`` does."""
    held = score_speech_held_out(items, read, policy=policy, on_item=progress("ours"))
    return Home(held.rows, held.fold_by_key, (LastLayerProbe(held.probe_logits),))


def run_peers(
    items: Sequence[Item],
    home: Home,
    outside: Sequence[Peer],
    kept: Path,
    *,
    most: int | None,
    policy: VerdictPolicy,
    progress: Progress,
) -> Bout:
    """Scores and calibrates. ``outside``: peers besides the probes, whose readings are kept in *kept*.

    ``most``: they are asked of so many files at most, drawn by hash; the others have the reason NOT_DRAWN. Raises what
    a peer raises.
    """
    files = [item.file for item, row in zip(items, home.rows, strict=True) if row.is_scored]
    drawn = drawn_by_hash(files, len(files) if most is None else most)
    contenders: list[tuple[PeerCard, Contender]] = []
    for peer, readings in _all_readings(files, drawn, home, outside, kept, progress):
        for card in peer.cards:
            own = _of_card(card, files, readings)
            contenders.append((card, peer_contender(card, items, home.rows, own, home.fold_by_key, policy)))
    return Bout(ours(home.rows), tuple(contenders))


def _all_readings(
    files: Sequence[LabelledFile],
    drawn: frozenset[str],
    home: Home,
    outside: Sequence[Peer],
    kept: Path,
    progress: Progress,
) -> Iterator[tuple[Peer, list[Readings]]]:
    asked = [file for file in files if file.key in drawn]
    for peer in outside:
        found = kept_readings(peer, asked, kept, progress(peer.cards[0].title))
        not_asked = {card.name: PeerReading(None, NOT_DRAWN) for card in peer.cards}
        yield peer, [next(found) if file.key in drawn else not_asked for file in files]
    for probe in home.probes:
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
