"""A shot that is interrupted once is found, with its ends; cuts, motion, flashes and cutting to and fro are not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from deepscreen.findings.interruption import INTERRUPTED_SHOT, SIDE_PX, interruption_findings
from deepscreen.media.intake import take_in
from deepscreen.media.sandbox import Decoder
from deepscreen.settings import Limits

RATE = 15
N = 12 * RATE
Clip = NDArray[np.float64]  # (frames, SIDE_PX, SIDE_PX, 3)


def shot(seed: int, count: int = N, speed_px: float = 0.05) -> Clip:
    """A soft picture that drifts slowly, with a little noise."""
    rng = np.random.default_rng(seed)
    wide = cv2.resize(rng.uniform(30, 220, (5, 10, 3)), (2 * SIDE_PX, SIDE_PX), interpolation=cv2.INTER_CUBIC)
    moves = [np.array([[1, 0, -k * speed_px], [0, 1, 0]]) for k in range(count)]
    frames = [cv2.warpAffine(wide, move, (SIDE_PX, SIDE_PX)) for move in moves]
    return np.stack(frames) + rng.normal(0, 0.5, (count, SIDE_PX, SIDE_PX, 3))


def found(clip: Clip) -> list[tuple[float, float]]:
    frames = ((k / RATE, np.clip(frame, 0, 255).astype(np.uint8)) for k, frame in enumerate(clip))
    facts = [one.facts for one in interruption_findings(frames)]
    return [(float(f["start_seconds"]), float(f["end_seconds"])) for f in facts]


def with_insert(clip: Clip, first: int, last: int, inside: Clip) -> Clip:
    changed = clip.copy()
    changed[first:last] = inside[first:last]
    return changed


def test_foreign_second_is_found_with_its_ends() -> None:
    assert found(with_insert(shot(1), 60, 75, shot(2))) == [(4.0, 5.0)]


def test_other_face_in_the_same_shot_is_found() -> None:
    face = shot(1)
    face[:, 12:24, 18:30] += 12.0
    assert found(with_insert(shot(1), 60, 75, face)) == [(4.0, 5.0)]


@pytest.mark.parametrize("frames", [3, 45], ids=["flash", "three seconds"])
def test_what_is_much_shorter_or_longer_is_not(frames: int) -> None:
    assert found(with_insert(shot(1), 60, 60 + frames, shot(2))) == []


def test_uncut_shot_and_a_cut_are_not() -> None:
    assert found(shot(1)) == []
    assert found(np.concatenate([shot(1, 60), shot(2, 60), shot(3, 60)])) == []
    short_between = np.concatenate([shot(1, 60), shot(2, 15), shot(3, 60)])
    assert found(short_between) == []


def test_cutting_to_and_fro_is_not() -> None:
    twice = with_insert(with_insert(shot(1), 30, 45, shot(2)), 90, 105, shot(2, speed_px=0.0))
    assert found(twice) == []


def test_still_clip_and_no_frames_have_nothing() -> None:
    assert found(np.full((N, SIDE_PX, SIDE_PX, 3), 90.0)) == []
    assert found(np.zeros((0, SIDE_PX, SIDE_PX, 3))) == []


def save(path: Path, clip: Sequence[NDArray[np.float64]]) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = 192, 96, "yuv420p"
        for frame in clip:
            large = np.kron(np.clip(frame, 0, 255).astype(np.uint8), np.ones((2, 4, 1), np.uint8))
            for packet in stream.encode(av.VideoFrame.from_ndarray(large, format="rgb24")):
                container.mux(packet)
        container.mux(stream.encode(None))
    return path


def test_coded_clip_is_looked_over_as_a_screening_does(tmp_path: Path) -> None:
    altered = save(tmp_path / "altered.mp4", list(with_insert(shot(1), 60, 75, shot(2))))
    whole = save(tmp_path / "whole.mp4", list(shot(1)))
    with Decoder(Limits()) as decoder:
        looks = {path.stem: decoder.inspect(take_in(path, limits=Limits())) for path in (altered, whole)}
    codes = {name: [one for one in look if one.code == INTERRUPTED_SHOT] for name, look in looks.items()}
    assert codes["whole"] == []
    assert len(codes["altered"]) == 1
    facts = codes["altered"][0].facts
    assert float(facts["start_seconds"]) == pytest.approx(4.0, abs=0.2)
    assert float(facts["end_seconds"]) == pytest.approx(5.0, abs=0.2)
