"""Speech against its peers: the same recordings in the same folds, and the probe is held out as ours is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deepscreen.detectors.nets.aasist import SIZES, load_aasist, spoof_logits
from deepscreen.errors import ConfigError
from deepscreen.evaluation.datasets.item import Item, Label, labelled_file
from deepscreen.evaluation.held_out import RELEASE_SPLIT
from deepscreen.evaluation.peers.aasist import AasistPeer
from deepscreen.evaluation.peers.contract import PeerCard, PeerReading
from deepscreen.evaluation.peers.peers_report import SPEECH_COMMAND, peers_report
from deepscreen.evaluation.peers.run import NOT_DRAWN, Home, run_peers, speech_at_home
from deepscreen.evaluation.protocols import is_release_split
from deepscreen.settings import Settings, VerdictPolicy
from deepscreen.training.audio_features import ClipFeatures, load_recording
from deepscreen.training.labelled import LabelledFile, item_rng
from deepscreen.weights.store import WeightsStore

READING = Path(__file__).parents[2] / "sample_media/bona_fide/reading.flac"
N_SPECTRAL = 431


def progress(_: str) -> Callable[[], None]:
    return lambda: None


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> list[Item]:
    """Sixteen sources with three recordings of each class; the last recording of a source holds no speech."""
    root = tmp_path_factory.mktemp("speech")
    found = []
    for number in range(16):
        for k in range(6):
            path = root / f"{number:02}-{k}.flac"
            path.write_text(path.name)
            kind = "neural_tts" if k % 2 else "bona fide"
            found.append(Item(labelled_file(root, path, Label(k % 2, f"source {number}", kind)), "audio"))
    return found


def read(file: LabelledFile) -> list[ClipFeatures]:
    """What Whisper's first layer hears tells the classes apart; its last layer tells sources apart only."""
    if file.path.stem.endswith("-5"):
        return []
    rng = item_rng(file.key, "speech", 0)
    whisper = rng.standard_normal((4, 1024)).astype(np.float32)
    whisper[1, :50] += 4.0 * file.label
    last = rng.standard_normal(1024) + 3 * item_rng(file.source, "mark", 0).standard_normal(1024)
    spectral = rng.standard_normal(N_SPECTRAL) + np.where(np.arange(N_SPECTRAL) < 20, 4.0 * file.label, 0)
    return [ClipFeatures(file.key, 0, whisper, last.astype(np.float32), spectral.astype(np.float32))]


@pytest.fixture(scope="module")
def home(items: list[Item]) -> Home:
    return speech_at_home(items, read, policy=VerdictPolicy(), progress=progress)


def test_every_recording_has_a_row_and_those_without_a_score_a_reason(items: list[Item], home: Home) -> None:
    for item, row in zip(items, home.rows, strict=True):
        kept_back = is_release_split(item.file.source)
        silent = item.file.path.stem.endswith("-5")
        assert row.absence == (RELEASE_SPLIT if kept_back else "no_speech" if silent else "")
        assert row.is_scored == (item.file.key in home.fold_by_key)
    assert any(is_release_split(item.file.source) for item in items)


def test_the_probe_is_held_out_and_ours_is_ahead_of_it(items: list[Item], home: Home, tmp_path: Path) -> None:
    bout = run_peers(items, home, [], tmp_path, most=None, policy=VerdictPolicy(), progress=progress)
    report = peers_report(bout.ours, bout.peers, data_set="speech", reader="csv", seed=0, method={})
    (duel,) = report.families[0].duels
    assert report.command == SPEECH_COMMAND
    assert [family.name for family in report.families] == ["all", "text to speech"]
    assert duel.theirs.n_spoof == duel.ours.n_spoof
    assert duel.differences["eer"].high is not None
    assert duel.differences["eer"].high < 0
    assert {row.modality for row in bout.peers[0][1].rows} == {"audio"}


class HalfRight:
    """A peer that knows one spoof in two, and counts what it is asked."""

    cards = (PeerCard("half-right", "half right", "1", "none", "names", "nothing"),)

    def __init__(self) -> None:
        self.asked: list[str] = []

    def read(self, files: Sequence[LabelledFile]) -> Iterator[dict[str, PeerReading]]:
        for file in files:
            self.asked.append(file.key)
            knows = item_rng(file.key, "half", 0).random() < 0.5
            yield {"half-right": PeerReading(2.0 * file.label - 1 if knows else 0.0)}


def test_a_slow_peer_is_asked_of_a_draw_and_set_against_ours_on_it(
    items: list[Item], home: Home, tmp_path: Path
) -> None:
    peer = HalfRight()
    bout = run_peers(items, home, [peer], tmp_path, most=30, policy=VerdictPolicy(), progress=progress)
    rows = bout.peers[0][1].rows
    scored = [row.path for row in rows if row.is_scored]
    assert (len(scored), sorted(peer.asked)) == (30, sorted(scored))
    assert {row.absence for row in rows} == {"", NOT_DRAWN, RELEASE_SPLIT, "no_speech"}
    again = HalfRight()
    run_peers(items, home, [again], tmp_path, most=30, policy=VerdictPolicy(), progress=progress)
    assert again.asked == []
    (duel, _) = peers_report(bout.ours, bout.peers, data_set="d", reader="csv", seed=0, method={}).families[0].duels
    assert duel.ours.n_spoof + duel.ours.n_bona_fide == 30


def test_pictures_among_speech_are_refused(items: list[Item]) -> None:
    mixed = [replace(items[0], modality="image"), *items[1:]]
    with pytest.raises(ConfigError, match="speech alone"):
        speech_at_home(mixed, read, policy=VerdictPolicy(), progress=progress)


def test_aasist_reads_the_recording_as_its_network_does() -> None:
    store = WeightsStore.from_settings(Settings())
    said = Label(0, "reading")
    peer = AasistPeer.of(store, "aasist-l")
    (reading,) = peer.read([labelled_file(READING.parent, READING, said)])
    (expected,) = spoof_logits(load_aasist(store.locate("aasist-l"), SIZES["aasist-l"]), [load_recording(READING)])
    assert reading["aasist-l"].spoof_logit == pytest.approx(float(expected))
