"""The benchmark of scans measures what it says: on the fake desk, for what counts is that every figure is there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from deepscreen.evaluation.bench_report import Machine
from deepscreen.evaluation.bench_scan import Cost, Grouping, Hashing, Stages, add_stages, grouping, hashing, scan_cost
from deepscreen.evaluation.bench_scan_media import TINY_CONTENTS, file_paths, make_pictures, make_tiny_files
from deepscreen.evaluation.bench_scan_report import (
    COUNTED,
    WHAT,
    ScanReport,
    as_markdown,
    batched_seconds,
    counted_seconds,
)
from deepscreen.screening import ScreeningDesk
from deepscreen.settings import Settings

SAMPLES = Path(__file__).resolve().parents[2] / "sample_media"
PICTURES = 7  # more than there are sources


@pytest.fixture(scope="module")
def desk() -> Iterator[ScreeningDesk]:
    desk = ScreeningDesk.with_fake_detectors(Settings(device="cpu"))
    yield desk
    desk.close()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    make_pictures(SAMPLES, folder, range(PICTURES))
    return folder


def test_pictures_all_differ_and_are_the_same_each_time(pictures: Path, tmp_path: Path) -> None:
    contents = [path.read_bytes() for path in file_paths(pictures)]
    assert len(set(contents)) == PICTURES
    make_pictures(SAMPLES, tmp_path, range(5, PICTURES))
    assert [path.read_bytes() for path in file_paths(tmp_path)] == contents[5:]


def test_scan_and_stages_are_measured_on_the_same_files(pictures: Path, tmp_path: Path, desk: ScreeningDesk) -> None:
    cost = scan_cost(pictures, tmp_path / "scan", desk)
    assert cost.seconds > 0
    stages = Stages()
    add_stages(stages, list(file_paths(pictures))[:4], tmp_path / "alone", desk)
    add_stages(stages, list(file_paths(pictures))[4:], tmp_path / "alone", desk)
    assert (stages.files, dict(stages.views)) == (PICTURES, {})  # the fake detectors have no network
    assert set(stages.seconds) == set(WHAT)
    assert all(stages.seconds[name] > 0 for name in WHAT if name != "forward")


@pytest.mark.parametrize("from_disk", [True, False])
def test_hashing_is_measured_on_every_file(tmp_path: Path, desk: ScreeningDesk, from_disk: bool) -> None:
    make_tiny_files(tmp_path / "in", 2 * TINY_CONTENTS)
    measured = hashing(tmp_path / "in", tmp_path / "out", desk, from_disk=from_disk)
    assert measured.files == 2 * TINY_CONTENTS
    assert min(measured.plain_seconds, measured.scan_seconds, measured.scan_cpu_seconds) > 0


def test_grouping_finds_every_near_pair() -> None:
    measured = grouping(2_000)
    assert measured.found == measured.there == 20


def report() -> ScanReport:
    seconds = dict.fromkeys(COUNTED, 0.1) | {"forward": 2.0, "inspect": 9.0, "fingerprint": 9.0}
    return ScanReport(
        software="deepscreen 0",
        machine=Machine("a processor", 2, 8.0, True, "Linux", "3.11", "2", load_average=0.1),
        precision="bf16",
        pictures=10,
        block=5,
        scan=Cost(seconds=4.0, cpu_seconds=6.0),
        peak_tree_bytes=2_000_000_000,
        stages=Stages(files=10, views={1: 20, 2: 20}, seconds=defaultdict(float, seconds), cpu_seconds=5.0),
        seconds_per_view={1: 0.05, 2: 0.045, 4: 0.04},
        hashing=(Hashing(100, 0.7, 0.5, 1.0, 1.0, from_disk=True), Hashing(100, 0.2, 0.2, 1.0, 0.8, from_disk=False)),
        grouping=Grouping(1000, 1.5, 10, 10),
    )


def test_page_sets_what_was_reached_beside_what_the_stages_allow() -> None:
    made = report()
    assert counted_seconds(made.stages) == pytest.approx(0.26)  # not the stages that the target does not name
    assert batched_seconds(made) == pytest.approx(0.06 + 0.2 * 0.04 / 0.0475)
    page = as_markdown(made)
    assert "| end to end | 2.50 pictures/s |" in page
    assert f"| share of that (target: at least 0.85) | {2.5 * 0.26:.2f} |" in page
    assert f"| share of that | {2.5 * (0.06 + 0.2 * 0.04 / 0.0475):.2f} |" in page
    assert "| | share (target: at least 0.7) | 0.70 | 0.50 |" in page
    assert "10 of 10 near pairs" in page
    assert "not quiet" not in page
