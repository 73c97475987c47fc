"""The shipped method on ``sample_media/`` against the stored numbers, which ``make golden`` renews."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import numpy as np
import pytest
from regenerate import (
    LOGIT_TOLERANCE,
    REFERENCE,
    SAMPLES,
    GoldenDesk,
    changes,
    coarse,
    load_stored,
    misses,
    name_of,
    reference,
    sample_files,
)

from deepscreen.errors import WeightsMissing
from deepscreen.settings import load_settings
from deepscreen.weights.store import WeightsStore

NAMES = [name_of(path) for path in sample_files()]
ONE_OF_EACH_KIND = ("spoof/face_swap.jpg", "bona_fide/webcam.webm", "spoof/vocoded_reading.flac")
# One bona fide and one spoof file of the same kind that each detector gets right: positive means synthetic or
# manipulated. They show the polarity and not how good a detector is: several samples are on the wrong side, by little
# (the local edits `copied_dog` and `spliced_bird`, the two-second `face_swap_2s_to_4s`, the prompt) or clearly (the
# dogs' own faces, for face_clip). `make golden` lists all of them.
POLARITY_PAIRS = {
    "image_clip": ("bona_fide/portrait_hopper.jpg", "spoof/face_swap.jpg"),
    "face_clip": ("bona_fide/portrait_hopper.jpg", "spoof/face_self_blend.png"),
    "video_clip": ("bona_fide/webcam.webm", "spoof/face_swap_synthetic_voice.mp4"),
    "audio_whisper": ("bona_fide/telephone_prompt.wav", "spoof/telephone_espeak.wav"),
}


class Readings:
    """What the installed method says, each file read once."""

    def __init__(self, desk: GoldenDesk) -> None:
        self.desk = desk
        self._read: dict[str, dict[str, Any]] = {}

    def of(self, name: str) -> dict[str, Any]:
        if name not in self._read:
            self._read[name] = self.desk.read(SAMPLES / name)
        return self._read[name]


@pytest.fixture(scope="module")
def readings() -> Iterator[Readings]:
    store = WeightsStore.from_settings(load_settings())
    try:
        for row in store.manifest.pulled:
            store.locate(row.name)
    except WeightsMissing as error:
        pytest.skip(f"weights are not pulled: {error}")
    with closing(GoldenDesk("auto")) as desk:
        yield Readings(desk)


def by_detector(reading: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: v for result in reading.get("modalities", {}).values() for name, v in result[key].items()}


def spoof_logits(reading: dict[str, Any]) -> dict[str, float]:
    return by_detector(reading, "spoof_logits")


def test_every_sample_is_stored_in_the_precision_that_all_processors_run() -> None:
    stored = load_stored()
    assert len(NAMES) >= 12
    assert REFERENCE in stored
    for precision, files in stored.items():
        assert sorted(files) == sorted(NAMES), f"{precision}: samples came or went: run `make golden`"


@pytest.mark.weights
@pytest.mark.parametrize("name", NAMES)
def test_screening_gives_the_stored_numbers(readings: Readings, name: str) -> None:
    now, stored = readings.of(name), reference(load_stored(), readings.desk.precision)[0][name]
    assert now.get("error") == stored.get("error")
    assert spoof_logits(now) == pytest.approx(spoof_logits(stored), abs=LOGIT_TOLERANCE)
    assert by_detector(now, "not_scored") == by_detector(stored, "not_scored")
    # Heatmaps may be withheld, by a hair on one machine and not on another; timelines never are.
    assert timelines(now) == timelines(stored)


@pytest.mark.weights
@pytest.mark.parametrize("name", [name for name in NAMES if not name.endswith((".webm", ".mp4"))])
def test_maps_of_pictures_are_the_stored_ones(readings: Readings, name: str) -> None:
    """Of clips the most telling frame is shown, and two frames may all but tie for that."""
    files, tolerance = reference(load_stored(), readings.desk.precision)
    now, stored = readings.of(name)["maps"], files[name]["maps"]
    assert now.keys() == stored.keys()
    for what, values in stored.items():
        assert np.abs(np.subtract(now[what], values)).max() <= tolerance, what


def timelines(reading: dict[str, Any]) -> list[str]:
    names = [name for result in reading.get("modalities", {}).values() for name in result["evidence"]]
    return sorted(name for name in names if name.endswith("timeline.png"))


@pytest.mark.weights
@pytest.mark.parametrize("name", ONE_OF_EACH_KIND)
def test_second_screening_gives_the_same_bytes(readings: Readings, name: str) -> None:
    first, second = (readings.desk.screen(SAMPLES / name) for _ in range(2))
    assert first.screening.canonical_json() == second.screening.canonical_json()
    assert first.artefacts == second.artefacts


@pytest.mark.weights
@pytest.mark.parametrize("detector", POLARITY_PAIRS)
def test_polarity_is_positive_for_spoof(readings: Readings, detector: str) -> None:
    bona_fide, spoof = POLARITY_PAIRS[detector]
    lrs = [by_detector(readings.of(name), "reading_log10_lrs")[detector] for name in (bona_fide, spoof)]
    assert lrs[0] < 0 < lrs[1]
    assert spoof_logits(readings.of(bona_fide))[detector] < spoof_logits(readings.of(spoof))[detector]


@pytest.mark.weights
def test_polarity_is_shown_for_every_detector(readings: Readings) -> None:
    assert {card.name for card in readings.desk.cards} == set(POLARITY_PAIRS)


def test_precisions_agree_within_the_tolerance() -> None:
    stored = load_stored()
    for precision, files in stored.items():
        for name in NAMES:
            exact, other = spoof_logits(stored[REFERENCE][name]), spoof_logits(files[name])
            assert other == pytest.approx(exact, abs=LOGIT_TOLERANCE), f"{precision}: {name}"


def test_numbers_of_another_precision_stand_in_where_its_own_are_not_stored() -> None:
    stored = {"fp32": {"a": {}}, "bf16": {"b": {}}}
    assert reference(stored, "bf16") == ({"b": {}}, LOGIT_TOLERANCE)
    assert reference({"fp32": {"a": {}}}, "bf16")[0] == {"a": {}}
    assert reference({"fp32": {"a": {}}}, "bf16")[1] > LOGIT_TOLERANCE


def test_changes_name_what_moved() -> None:
    before = {"fp32": {"a.jpg": {"overall": "inconclusive", "maps": {"image_clip, whole": [[0.0, 1.0]]}}}}
    after = {"fp32": {"a.jpg": {"overall": "spoof_supported", "maps": {"image_clip, whole": [[0.5, 1.0]]}}}}
    assert list(changes(before, before)) == []
    assert list(changes(before, {**before, "bf16": {}})) == ["bf16: new"]
    assert list(changes(before, {})) == ["fp32: no longer there"]
    assert list(changes(before, after)) == [
        "fp32 / a.jpg / maps / image_clip, whole: largest change 0.50",
        "fp32 / a.jpg / overall: inconclusive -> spoof_supported",
    ]


def test_misses_are_those_on_the_wrong_side() -> None:
    def read(log10_lr: float, modality: str = "image") -> dict[str, Any]:
        return {"modalities": {modality: {"reading_log10_lrs": {"detector": log10_lr}}}}

    files = {"spoof/a": read(1.0), "spoof/b": read(-1.0), "bona_fide/c": read(0.5), "bona_fide/d": read(-0.5)}
    assert list(misses(files)) == ["bona_fide/c: detector +0.50", "spoof/b: detector -1.00"]
    assert list(misses({"spoof/face_swap_2s_to_4s.webm": read(-1.0, "audio")})) == []


def test_coarse_map_is_the_mean_over_cells() -> None:
    values = np.zeros((14, 14), np.float32)
    values[:2, 2:4] = 4.0
    values[13, 13] = 4.0
    grid = coarse(values)
    assert (len(grid), len(grid[0])) == (7, 7)
    assert (grid[0][1], grid[6][6], grid[3][3]) == (4.0, 1.0, 0.0)
