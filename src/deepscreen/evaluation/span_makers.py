"""What is done to the second of a host: a face swap, the second of another clip, or a blend of the face into itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import numpy as np

from deepscreen.detectors.views import MIN_FACE_PX
from deepscreen.evaluation.span_hosts import FRAME_RATE, HOST_FRAMES, SPAN_FRAMES, Footage, Host, clip_frames
from deepscreen.faces import Face, FaceLocator
from deepscreen.media.samples import Pixels
from deepscreen.training.labelled import LabelledFile, item_rng
from deepscreen.training.self_blend import self_blend

Maker = Literal["face swap", "other clip", "self-blend"]
MARGIN_FRAMES = 2 * FRAME_RATE  # the second lies no nearer to either end of the host
CLEAR_FRAMES = 2  # a swapped second lies this far within its clip
FACE_KINDS = frozenset({"faceswap", "reenactment", "talking_head"})
TRIES = 6
# A swap changes the face more than the rest; where it does not, the clip is labelled a swap and shows none.
LEAST_CHANGE = 1.2


@dataclass(frozen=True, slots=True, repr=False)
class Second:
    """A manipulated second that begins at frame ``first`` of its host."""

    maker: Maker
    system: str
    first: int
    frames: tuple[Pixels, ...]

    @property
    def start_seconds(self) -> float:
        """From the host's first frame."""
        return self.first / FRAME_RATE

    @property
    def end_seconds(self) -> float:
        """Where it ends."""
        return (self.first + len(self.frames)) / FRAME_RATE


def seconds_of(host: Host, footage: Footage, spoofs: Sequence[LabelledFile], locator: FaceLocator) -> Iterator[Second]:
    """One second of every maker that the host lends itself to. ``spoofs``: of the host's fold."""
    found = (
        _swapped(host, footage, spoofs, locator),
        _other_clip(host, footage, spoofs, locator),
        _self_blended(host, footage, locator),
    )
    return (second for second in found if second is not None)


def _swapped(host: Host, footage: Footage, spoofs: Sequence[LabelledFile], locator: FaceLocator) -> Second | None:
    """The same second of the same recording after a swap."""
    rng = item_rng(host.name, "swap", 0)
    for k in rng.permutation(len(footage.stretches))[:TRIES]:
        stretch = footage.stretches[k]
        room = stretch.last - stretch.first - SPAN_FRAMES - 2 * CLEAR_FRAMES
        swaps = [s for s in spoofs if s.kind == "faceswap" and s.group == stretch.clip.group]
        if room < 1 or not swaps:
            continue
        offset = CLEAR_FRAMES + int(rng.integers(room))
        first = stretch.first + offset
        before = list(footage.frames(first, first + SPAN_FRAMES))
        for swap in swaps:
            after = tuple(islice(clip_frames(swap.path, footage.size), offset, offset + SPAN_FRAMES))
            if len(after) == SPAN_FRAMES and _is_swap(before[0], after[0], locator):
                return Second("face swap", swap.generator, first, after)
    return None


def _is_swap(before: Pixels, after: Pixels, locator: FaceLocator) -> bool:
    """Whether it is the same recording with another face: what changed lies in the face."""
    face = _face(before, locator)
    if face is None:
        return False
    change = np.abs(before.astype(np.float32) - after.astype(np.float32)).mean(axis=2)
    x0, y0, x1, y1 = (max(0, round(v)) for v in face.box_xyxy_px)
    return float(change[y0:y1, x0:x1].mean()) > LEAST_CHANGE * float(change.mean())


def _other_clip(host: Host, footage: Footage, spoofs: Sequence[LabelledFile], locator: FaceLocator) -> Second | None:
    """A second of a forged or generated clip, of people where the host shows people."""
    rng = item_rng(host.name, "other clip", 0)
    first = _drawn_start(rng)
    has_face = _face(next(footage.frames(first)), locator) is not None
    others = [s for s in spoofs if s.source != host.source]
    chosen = [s for s in others if (s.kind in FACE_KINDS) == has_face] or others
    for k in rng.permutation(len(chosen)):
        frames = tuple(islice(clip_frames(chosen[k].path, footage.size), SPAN_FRAMES))
        if len(frames) == SPAN_FRAMES:
            return Second("other clip", chosen[k].generator, first, frames)
    return None


def _self_blended(host: Host, footage: Footage, locator: FaceLocator) -> Second | None:
    """An altered copy of the face blended into itself, the same way in all frames of the second."""
    rng = item_rng(host.name, "self-blend", 0)
    for _ in range(TRIES):
        first, seed = _drawn_start(rng), int(rng.integers(2**32))
        frames = list(footage.frames(first, first + SPAN_FRAMES))
        faces = [_face(pixels, locator) for pixels in frames]
        blended = tuple(
            self_blend(pixels, np.array(face.landmarks_px), np.random.default_rng(seed)).pixels
            for pixels, face in zip(frames, faces, strict=True)
            if face is not None
        )
        if len(blended) == SPAN_FRAMES:
            return Second("self-blend", "self-blend", first, blended)
    return None


def _face(pixels: Pixels, locator: FaceLocator) -> Face | None:
    return next((f for f in locator.locate(pixels, max_faces=1) if f.size_px >= MIN_FACE_PX), None)


def _drawn_start(rng: np.random.Generator) -> int:
    return int(rng.integers(MARGIN_FRAMES, HOST_FRAMES - SPAN_FRAMES - MARGIN_FRAMES))
