"""Ours against peers: the same files, calibrated alike, differences drawn in pairs, and nobody's gaps dropped."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from deepscreen import cli_docs
from deepscreen.cli import app
from deepscreen.errors import ConfigError
from deepscreen.evaluation.cross_calibration import cross_calibrated
from deepscreen.evaluation.datasets.item import Item, Label, labelled_file
from deepscreen.evaluation.held_out import RELEASE_SPLIT
from deepscreen.evaluation.peers.as_markdown import peers_tables
from deepscreen.evaluation.peers.contenders import Contender, ours, peer_contender
from deepscreen.evaluation.peers.contract import PeerCard, PeerReading
from deepscreen.evaluation.peers.duel import duel, is_better
from deepscreen.evaluation.peers.forest import LEFT, RIGHT, WIDTH, forest
from deepscreen.evaluation.peers.kept_readings import kept_readings
from deepscreen.evaluation.peers.last_block import LastBlockProbe
from deepscreen.evaluation.peers.peers_page import peers_page
from deepscreen.evaluation.peers.peers_report import PeersReport, peers_report
from deepscreen.evaluation.peers.run import Bout, write_peers
from deepscreen.evaluation.score_rows import ScoreRow, missing_row, scored_row
from deepscreen.evaluation.strata import Shown
from deepscreen.record import Verdict
from deepscreen.settings import VerdictPolicy
from deepscreen.training.fit_image import fold_of
from deepscreen.training.image_features import ViewFeatures
from deepscreen.training.labelled import LabelledFile, item_rng
from deepscreen.weights.store import shipped_dir

DOCS = Path(__file__).parents[2] / "docs"
N_SOURCES, N_EACH = 24, 8
CARD = PeerCard("rival", "Rival <1>", "1", "MIT", "whole picture", "nothing")


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> list[Item]:
    """Twelve sources of each class; half of the spoofs are face swaps; each file has bytes of its own."""
    root = tmp_path_factory.mktemp("pictures")
    found = []
    for number in range(N_SOURCES):
        label = number % 2
        for k in range(N_EACH):
            path = root / f"{number:02}-{k}.png"
            path.write_text(path.name)
            kind = ("gan_face" if number % 4 == 1 else "faceswap") if label else "photo"
            found.append(Item(labelled_file(root, path, Label(label, f"source {number}", kind)), "image"))
    return found


def logits(items: Sequence[Item], strength: float, seed: int) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    return {i.file.key: float(rng.normal(strength if i.file.label else -strength, 1)) for i in items}


def folds(items: Sequence[Item]) -> dict[str, int]:
    files = [item.file for item in items]
    return {file.key: int(fold) for file, fold in zip(files, fold_of(files), strict=True)}


def log10_lrs(items: Sequence[Item], found: Mapping[str, float], fold_by_key: Mapping[str, int]) -> dict[str, float]:
    """What a calibration without each fold gives."""
    keys, sources = [item.file.key for item in items], [item.file.source for item in items]
    values, labels = np.array([found[key] for key in keys]), np.array([item.file.label for item in items])
    lrs = cross_calibrated(values, labels, sources, np.array([fold_by_key[key] for key in keys]))
    return dict(zip(keys, lrs.tolist(), strict=True))


def our_rows(items: Sequence[Item], strength: float = 1.5) -> list[ScoreRow]:
    """Ours, calibrated as ``score_held_out`` does; the last file is of the release split."""
    found = logits(items, strength, 0)
    lrs = log10_lrs(items, found, folds(items))
    rows = [
        scored_row(i, "image", i.file.label, "png", found[i.file.key], lrs[i.file.key], Verdict.INCONCLUSIVE)
        for i in items[:-1]
    ]
    return [*rows, missing_row(items[-1], "image", RELEASE_SPLIT)]


def rival(items: Sequence[Item], readings: Mapping[str, PeerReading], name: str = "rival") -> Contender:
    rows = our_rows(items)
    return peer_contender(replace(CARD, name=name), items, rows, readings, folds(items), VerdictPolicy())


def readings_of(found: Mapping[str, float]) -> dict[str, PeerReading]:
    return {key: PeerReading(logit) for key, logit in found.items()}


@pytest.fixture(scope="module")
def weak(items: list[Item]) -> Contender:
    return rival(items, readings_of(logits(items, 0.3, 1)))


@pytest.fixture(scope="module")
def faces_only(items: list[Item]) -> Contender:
    """A peer that has no score for every second file."""
    found = readings_of(logits(items, 0.3, 2))
    gaps = {item.file.key: PeerReading(None, "no_face") for item in items[::2]}
    return rival(items, found | gaps, "gappy")


@pytest.fixture(scope="module")
def report(items: list[Item], weak: Contender, faces_only: Contender) -> PeersReport:
    peers = [(CARD, weak), (replace(CARD, name="gappy", title="Gappy"), faces_only)]
    return peers_report(
        ours(our_rows(items)), peers, data_set="pictures", reader="csv", seed=0, method={"Software": "deepscreen x"}
    )


def test_peer_is_calibrated_as_ours_is(items: list[Item]) -> None:
    """The same logits get the same ratios, fold by fold."""
    same = rival(items, readings_of(logits(items, 1.5, 0)))
    expected = log10_lrs(items[:-1], logits(items, 1.5, 0), folds(items))
    assert {row.path: row.log10_lr for row in same.rows if row.is_scored} == expected


def test_calibration_of_a_fold_does_not_see_its_labels(items: list[Item]) -> None:
    found = readings_of(logits(items, 1.0, 3))
    before = rival(items, found)
    fold = folds(items)
    turned = [
        replace(i, file=replace(i.file, label=1 - i.file.label)) if fold[i.file.key] == 0 else i for i in items[:-1]
    ]
    after = peer_contender(CARD, [*turned, items[-1]], our_rows(items), found, fold, VerdictPolicy())
    pairs = [(a.log10_lr, b.log10_lr) for a, b in zip(before.rows, after.rows, strict=True) if fold[a.path] == 0]
    assert all(a == b for a, b in pairs)
    assert [r.log10_lr for r in before.rows] != [r.log10_lr for r in after.rows]


def test_peer_is_ordered_by_its_own_logits(weak: Contender) -> None:
    assert weak.scores.ranks.tolist() == [row.spoof_logit for row in weak.scores.rows]


def test_what_we_left_out_is_left_out_for_all(weak: Contender) -> None:
    assert weak.rows[-1].absence == RELEASE_SPLIT


def test_peer_on_too_little_is_not_calibrated(items: list[Item]) -> None:
    few = {item.file.key: PeerReading(1.0) for item in items[:3]}
    gaps = {item.file.key: PeerReading(None, "no_face") for item in items[3:]}
    scores = rival(items, few | gaps).scores
    assert (len(scores.labels), scores.llrs) == (3, None)


def test_difference_to_oneself_is_nothing(items: list[Item]) -> None:
    """Drawn apart, two bootstraps of the same scores would differ: the interval would not be a point."""
    own = ours(our_rows(items))
    differences = duel(own, own, None, "all").differences
    assert {(d.value, d.low, d.high) for d in differences.values()} == {(0.0, 0.0, 0.0)}


def test_better_method_is_ahead_with_an_interval(items: list[Item], weak: Contender) -> None:
    found = duel(ours(our_rows(items)), weak, None, "all")
    assert all(is_better(name, one) for name, one in found.differences.items())
    assert set(found.differences) == {"auc", "eer", "cllr"}
    expected = found.ours.figures["auc"].value - found.theirs.figures["auc"].value
    assert found.differences["auc"].value == pytest.approx(expected, abs=1e-4)
    swapped = duel(weak, ours(our_rows(items)), None, "all")
    assert swapped.differences["auc"].value == -found.differences["auc"].value
    assert is_better("cllr", swapped.differences["cllr"]) is False


def test_interval_that_holds_nothing_decides_nothing() -> None:
    assert is_better("auc", Shown(0.1, -0.01, 0.2)) is None
    assert is_better("auc", Shown(0.1)) is None


def test_difference_is_taken_on_the_files_of_both(items: list[Item], faces_only: Contender) -> None:
    own = ours(our_rows(items))
    found = duel(own, faces_only, None, "all")
    assert found.ours.n_bona_fide == found.theirs.n_bona_fide == N_SOURCES // 2 * N_EACH // 2
    assert found.n_left_bona_fide + found.n_left_spoof + len(faces_only.scores.rows) == len(own.scores.rows)


def test_family_is_set_against_all_bona_fide(items: list[Item], weak: Contender) -> None:
    found = duel(ours(our_rows(items)), weak, frozenset({"faceswap"}), "face manipulated")
    assert found.theirs.n_bona_fide == N_SOURCES // 2 * N_EACH
    assert found.theirs.n_spoof == N_SOURCES // 4 * N_EACH - 1  # one of them is the file left out


def test_too_few_files_have_no_difference(items: list[Item]) -> None:
    for n in (0, 3):
        few = {item.file.key: PeerReading(1.0) for item in items[:n]}
        gaps = {item.file.key: PeerReading(None, "no_face") for item in items[n:]}
        one = duel(ours(our_rows(items)), rival(items, few | gaps), None, "all").differences["auc"]
        assert one.value is None
        assert one.why_not.startswith("too few")


def test_families_without_spoofs_are_left_out(report: PeersReport) -> None:
    assert [family.name for family in report.families] == ["all", "generated", "face manipulated"]


def test_coverage_adds_up_for_each(report: PeersReport, items: list[Item]) -> None:
    for coverage in report.coverage.values():
        left = sum(one.n_bona_fide + one.n_spoof for one in coverage.not_scored)
        assert coverage.n_scored + left == coverage.n_rows == len(items)
    assert {one.reason for one in report.coverage["gappy"].not_scored} == {"no_face", RELEASE_SPLIT}


def test_report_is_written_with_the_scores_of_all(
    report: PeersReport, items: list[Item], weak: Contender, tmp_path: Path
) -> None:
    write_peers(report, Bout(ours(our_rows(items)), ((CARD, weak),)), tmp_path)
    stored = json.loads((tmp_path / "peers.json").read_text())
    assert stored["families"][0]["duels"][0]["differences"]["auc"]["low"] > 0
    assert sorted(path.name for path in (tmp_path / "scores").iterdir()) == ["ours.csv", "rival.csv"]
    assert (tmp_path / "peers.html").read_text() == peers_page(report)


def test_page_has_no_script_and_shows_names_harmlessly(report: PeersReport) -> None:
    page = peers_page(report)
    assert "<script" not in page
    assert "Rival &lt;1&gt;" in page
    assert "Rival <1>" not in page
    assert page.count("<svg") == 3


def test_marks_lie_within_the_drawing_and_their_interval(report: PeersReport) -> None:
    drawn = forest(report.families, "auc", {"rival": "Rival", "gappy": "Gappy"})
    marks = [mark for mark in drawn.marks if mark.x_px is not None]
    assert len(marks) == 6
    for mark in marks:
        assert mark.low_px is not None
        assert mark.high_px is not None
        assert LEFT <= mark.low_px <= mark.x_px <= mark.high_px <= WIDTH - RIGHT
        assert mark.x_px > drawn.zero_px
        assert 0 < mark.y_px < drawn.height_px


def test_tables_have_a_row_for_each_peer_and_family(report: PeersReport) -> None:
    tables = peers_tables(json.loads(report.as_json()))
    assert len(re.findall(r"^\| Gappy \| 48 / ", tables, re.MULTILINE)) == 3
    assert "no_face" in tables


class Counted:
    """A peer that counts what it is asked; with *stops_after* it breaks down."""

    def __init__(self, stops_after: int = 10**9) -> None:
        self.asked: list[str] = []
        self._stops_after = stops_after

    @property
    def cards(self) -> tuple[PeerCard, ...]:
        return (CARD,)

    def read(self, files: Sequence[LabelledFile]) -> Iterator[Mapping[str, PeerReading]]:
        for file in files:
            if len(self.asked) == self._stops_after:
                raise RuntimeError("broken down")
            self.asked.append(file.key)
            yield {CARD.name: PeerReading(len(self.asked) / 8)}


def kept(peer: Counted, files: Sequence[LabelledFile], folder: Path) -> list[Mapping[str, PeerReading]]:
    return list(kept_readings(peer, files, folder, lambda: None))


def test_peer_is_asked_once_for_the_same_bytes(items: list[Item], tmp_path: Path) -> None:
    files = [item.file for item in items[:4]]
    twin = replace(files[0], path=tmp_path / "twin.png", key="twin.png")
    twin.path.write_bytes(files[0].path.read_bytes())
    first = kept(Counted(), files, tmp_path / "kept")
    second = Counted()
    assert kept(second, [*files, twin], tmp_path / "kept") == [*first, first[0]]
    assert second.asked == []


def test_interrupted_peer_goes_on_where_it_was(items: list[Item], tmp_path: Path) -> None:
    files = [item.file for item in items[:5]]
    with pytest.raises(RuntimeError):
        kept(Counted(stops_after=3), files, tmp_path)
    (path,) = tmp_path.glob("*.jsonl")
    path.write_text(path.read_text() + '{"sha256": "cut o')
    again = Counted()
    assert len(kept(again, files, tmp_path)) == 5
    assert again.asked == [file.key for file in files[3:]]
    assert len(path.read_text().splitlines()) == 5


def test_kept_file_of_another_kind_is_refused(items: list[Item], tmp_path: Path) -> None:
    (tmp_path / f"{CARD.name}-{CARD.version}.jsonl").write_text('{"a": 1}\n')
    with pytest.raises(ConfigError, match="holds no readings of peers"):
        kept(Counted(), [items[0].file], tmp_path)


def probe_views(file: LabelledFile, trace: NDArray[np.float64]) -> list[ViewFeatures]:
    """A face in every second picture; *trace* of what is to be learnt, in noise."""
    rng = item_rng(file.key, "views", 0)
    subjects = ("whole", "face") if int(file.path.stem[-1]) % 2 else ("whole",)
    nothing = np.zeros((1, 4), np.float32)
    return [
        ViewFeatures(
            file.key,
            "base",
            subject,
            file.label,
            nothing,
            nothing.astype(np.float16),
            None,
            (trace + rng.normal(0, 1, len(trace))).astype(np.float32),
        )
        for subject in subjects
    ]


def probe_logits(items: Sequence[Item], subject: str, *, of_class: bool) -> tuple[NDArray[np.int64], list[PeerReading]]:
    files = [item.file for item in items]

    def read(file: LabelledFile) -> list[ViewFeatures]:
        own = np.arange(N_SOURCES) == int(file.source.split()[1])
        return probe_views(file, np.full(N_SOURCES, 2.0 * file.label - 1) if of_class else 30.0 * own)

    probe = LastBlockProbe(subject, fold_of(files), read)
    found = [readings[f"last-block-{subject}"] for readings in probe.read(files)]
    return np.array([file.label for file in files]), found


def test_probe_finds_the_class_and_says_where_it_sees_no_face(items: list[Item]) -> None:
    labels, found = probe_logits(items, "face", of_class=True)
    assert [reading.absence for reading in found] == ["no_face" if k % 2 == 0 else "" for k in range(len(found))]
    assert all((r.spoof_logit > 0) == bool(label) for label, r in zip(labels, found, strict=True) if not r.absence)


def test_probe_never_saw_the_source(items: list[Item]) -> None:
    """Each source has a mark of its own, which teaches nothing of others: fitted on itself it would be sure."""
    labels, found = probe_logits(items, "whole", of_class=False)
    right = np.mean([(r.spoof_logit > 0) == bool(label) for label, r in zip(labels, found, strict=True)])
    assert right < 0.75


def test_folder_without_the_weights_ends_with_the_exit_code_of_weights(items: list[Item], tmp_path: Path) -> None:
    root = items[0].file.path.parent
    lines = ["path,label,source", *(f"{i.file.key},{'fake' if i.file.label else 'real'},s" for i in items)]
    (root / "list.csv").write_text("\n".join(lines) + "\n")
    given = ["--manifest", str(root / "list.csv"), "--cache", str(tmp_path), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, ["peers", *given, "--mesonet", str(tmp_path)])
    assert done.exit_code == 3
    assert "weights_Meso4_DF.h5: is not there" in done.output


def test_tables_in_the_docs_are_current() -> None:
    text = (DOCS / "peers.md").read_text(encoding="utf-8")
    assert cli_docs.peers_page(text, shipped_dir()) == text, "run `make docs`"
