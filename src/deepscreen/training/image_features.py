"""Backbone features of labelled pictures and their faces, computed once and kept in a cache folder as .npz files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from pillow_heif import register_heif_opener

from deepscreen.detectors.clip_features import ClipFeatures
from deepscreen.detectors.views import MIN_FACE_PX, VIEW_PX, face_view, whole_view
from deepscreen.faces import CROP_SCALE, Face, FaceLocator, crop_face
from deepscreen.media.samples import Pixels
from deepscreen.training.labelled import LabelledFile, item_rng
from deepscreen.training.launder import STRESSES, launder
from deepscreen.training.non_photographs import draw_non_photograph
from deepscreen.training.self_blend import Blend, self_blend, self_splice

PATCH_GRID = 14
# A backbone pass costs 0.15 s on two cores, so laundered copies and splices are made of a part of the files, drawn by
# hash: more of them did not move the source-held-out AUC, more sources do.
LAUNDERED_SHARE = 0.34
SPLICED_SHARE = 0.5
STRESSED_SHARE = 0.4
SELF_BLENDS_PER_FACE = 2
NEIGHBOURHOOD = 1.5  # of the crop side: what is kept around a face while it is blended and laundered
NEIGHBOURHOOD_MAX_PX = 640


@dataclass(frozen=True, slots=True, repr=False)
class ViewFeatures:
    """Features of one view of one file.

    ``classes``: (blocks, 768) float32; ``patches``: (196, patch dims) float16; ``mask``: (196,) share of forged pixels,
    or None where the label holds for the view as a whole.
    """

    key: str
    variant: str  # "base", "laundered", "spliced", "blend-0" ...
    subject: str  # "whole" or "face"
    label: int
    classes: NDArray[np.float32]
    patches: NDArray[np.float16]
    mask: NDArray[np.float32] | None
    last_class: NDArray[np.float32]  # (768,) of the last block: for the bare baseline only

    @classmethod
    def of(
        cls,
        clip: ClipFeatures,
        view: Pixels,
        file: LabelledFile,
        variant: str,
        subject: str,
        label: int,
        mask: NDArray[np.float32] | None,
    ) -> ViewFeatures:
        """What *clip*, which must give the last block too, reads in a view."""
        tokens = clip.tokens([view])[0]
        if tokens.last_class is None:
            raise ValueError("clip: want features with the last block (ClipFeatures.with_last_block), for the baseline")
        patches = tokens.patches.astype(np.float16)
        return cls(file.key, variant, subject, label, tokens.classes, patches, mask, tokens.last_class)


def load_pixels(path: Path) -> Pixels:
    """A labelled picture, upright RGB. Training data is trusted: no sandbox."""
    register_heif_opener()
    with Image.open(path) as picture:
        return np.asarray(ImageOps.exif_transpose(picture).convert("RGB"), dtype=np.uint8)


class FeatureCache:
    """Features by file, kept as one .npz a file under *folder*; computed where they are missing."""

    def __init__(self, folder: Path, clip: ClipFeatures, locator: FaceLocator, *, seed: int) -> None:
        self._folder, self._clip, self.locator, self._seed = folder, clip, locator, seed
        folder.mkdir(parents=True, exist_ok=True)

    def features(self, file: LabelledFile) -> list[ViewFeatures]:
        """All views of one file."""
        name = hashlib.sha256(f"{self._seed}|{self._clip.identity}|{file.key}".encode()).hexdigest()[:32]
        path = self._folder / f"{name}.npz"
        if not path.exists():
            save_views(path, self._compute(file))
        return load_views(path)

    def stressed(self, file: LabelledFile) -> list[ViewFeatures]:
        """Whole and face after each of ``STRESSES``, the variant named by it; a face that is lost has no view.

        Nothing for the files that are not among those tested so.
        """
        if item_rng(file.key, "stress", self._seed).random() >= STRESSED_SHARE:
            return []
        name = hashlib.sha256(f"{self._clip.identity}|stressed|{file.key}".encode()).hexdigest()[:32]
        path = self._folder / f"{name}.npz"
        if not path.exists():
            save_views(path, list(self._stress(file)))
        return load_views(path)

    def _stress(self, file: LabelledFile) -> Iterator[ViewFeatures]:
        original = load_pixels(file.path)
        for name, stress in STRESSES.items():
            pixels = stress(original)
            yield self._view(file, name, "whole", file.label, whole_view(pixels).pixels, None)
            for face in self.locator.locate(pixels, max_faces=1):
                if face.size_px >= MIN_FACE_PX:
                    yield self._view(file, name, "face", file.label, face_view(pixels, face).pixels, None)

    def drawn(self, count: int) -> NDArray[np.float32]:
        """Class tokens (count, 6 * 768) of pictures that are no photographs, made and laundered here."""
        name = hashlib.sha256(f"{self._seed}|{self._clip.identity}|drawn|{count}".encode()).hexdigest()[:32]
        path = self._folder / f"{name}.npy"
        if not path.exists():
            np.save(path, np.stack([self._draw(number) for number in range(count)]))
        return np.asarray(np.load(path, allow_pickle=False), dtype=np.float32)

    def _draw(self, number: int) -> NDArray[np.float32]:
        rng = item_rng(f"drawn {number}", "gate", self._seed)
        return self._clip.tokens([whole_view(launder(draw_non_photograph(rng), rng)).pixels])[0].classes.ravel()

    def _compute(self, file: LabelledFile) -> list[ViewFeatures]:
        pixels = load_pixels(file.path)
        return [*self._whole(file, pixels), *self._faces(file, pixels)]

    def _whole(self, file: LabelledFile, pixels: Pixels) -> Iterator[ViewFeatures]:
        yield self._view(file, "base", "whole", file.label, whole_view(pixels).pixels, None)
        rng = item_rng(file.key, "launder", self._seed)
        if rng.random() < LAUNDERED_SHARE:
            yield self._view(file, "laundered", "whole", file.label, whole_view(launder(pixels, rng)).pixels, None)
        rng = item_rng(file.key, "splice", self._seed)
        if file.label == 0 and "crop" not in file.kind and rng.random() < SPLICED_SHARE:
            spliced = self_splice(_bounded(pixels), rng)
            yield self._laundered_blend(file, "spliced", "whole", spliced, rng, lambda p: whole_view(p).pixels)

    def _faces(self, file: LabelledFile, pixels: Pixels) -> Iterator[ViewFeatures]:
        faces = [f for f in self.locator.locate(pixels, max_faces=1) if f.size_px >= MIN_FACE_PX]
        for face in faces:
            yield self._view(file, "base", "face", file.label, face_view(pixels, face).pixels, None)
            around = neighbourhood(pixels, face)
            rng = item_rng(file.key, "face", self._seed)
            if rng.random() < LAUNDERED_SHARE:
                yield self._view(file, "laundered", "face", file.label, _inner(launder(around, rng)), None)
            if file.label == 0:
                yield from self._self_blends(file, face, around, rng)

    def _self_blends(
        self, file: LabelledFile, face: Face, around: Pixels, rng: np.random.Generator
    ) -> Iterator[ViewFeatures]:
        landmarks = _landmarks_in_neighbourhood(face, around.shape[0])
        for k in range(SELF_BLENDS_PER_FACE):
            blend = self_blend(around, landmarks, rng)
            state = rng.bit_generator.state
            yield self._laundered_blend(file, f"blend-{k}", "face", blend, rng, _inner)
            rng.bit_generator.state = state  # the bona fide twin goes through the very same laundering
            yield self._view(file, f"twin-{k}", "face", 0, _inner(launder(around, rng)), None)

    def _laundered_blend(
        self,
        file: LabelledFile,
        variant: str,
        subject: str,
        blend: Blend,
        rng: np.random.Generator,
        to_view: Callable[[Pixels], Pixels],
    ) -> ViewFeatures:
        mask_rgb = np.repeat((blend.mask * 255).astype(np.uint8)[:, :, None], 3, axis=2)
        view = to_view(launder(blend.pixels, rng))
        mask = to_view(mask_rgb)[:, :, 0].astype(np.float32) / np.float32(255)
        return self._view(file, variant, subject, 1, view, _to_grid(mask))

    def _view(
        self,
        file: LabelledFile,
        variant: str,
        subject: str,
        label: int,
        view: Pixels,
        mask: NDArray[np.float32] | None,
    ) -> ViewFeatures:
        return ViewFeatures.of(self._clip, view, file, variant, subject, label, mask)


def neighbourhood(pixels: Pixels, face: Face) -> Pixels:
    """The aligned square around a face, wider than its crop, at most 640 px: room to blend and to launder."""
    side = int(min(NEIGHBOURHOOD_MAX_PX, max(VIEW_PX, round(face.size_px * CROP_SCALE * NEIGHBOURHOOD))))
    x0, y0, x1, y1 = face.box_xyxy_px
    cx, cy, half = (x0 + x1) / 2, (y0 + y1) / 2, face.size_px * NEIGHBOURHOOD / 2
    wide = Face((cx - half, cy - half, cx + half, cy + half), face.landmarks_px, face.confidence)
    return crop_face(pixels, wide, size_px=side).pixels


def _inner(around: Pixels) -> Pixels:
    """The crop that a detector would see, from the middle of a neighbourhood of any size."""
    size = around.shape[0]
    margin = round(size * (1 - 1 / NEIGHBOURHOOD) / 2)
    return whole_view(np.ascontiguousarray(around[margin : size - margin, margin : size - margin])).pixels


def _landmarks_in_neighbourhood(face: Face, size_px: int) -> NDArray[np.float64]:
    """Landmarks in pixels of ``neighbourhood``: the inverse of its affine map."""
    points = np.array(face.landmarks_px)
    right_eye, left_eye = points[0], points[1]
    across = left_eye - right_eye
    angle = float(np.arctan2(across[1], across[0])) if np.hypot(*across) > 1 else 0.0
    x0, y0, x1, y1 = face.box_xyxy_px
    offset = points - ((x0 + x1) / 2, (y0 + y1) / 2)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    side = face.size_px * CROP_SCALE * NEIGHBOURHOOD
    return np.asarray((offset @ turn.T / side + 0.5) * size_px, dtype=np.float64)


def _bounded(pixels: Pixels, max_side_px: int = 768) -> Pixels:
    """Large pictures are spliced at a bounded size, to keep fitting quick."""
    scale = max_side_px / max(pixels.shape[:2])
    if scale >= 1:
        return pixels
    return np.asarray(cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _to_grid(mask: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean of a (224, 224) mask over each of the 14 x 14 patches, flattened."""
    cell = VIEW_PX // PATCH_GRID
    means = mask.reshape(PATCH_GRID, cell, PATCH_GRID, cell).mean(axis=(1, 3))
    return np.asarray(means.ravel(), dtype=np.float32)


def save_views(path: Path, views: Sequence[ViewFeatures]) -> None:
    """One .npz, written to a temporary name and moved, so that a killed run leaves no half file."""
    empty = np.full(PATCH_GRID**2, -1, np.float32)
    temporary = path.with_suffix(".tmp.npz")
    np.savez(
        temporary,
        key=np.array([v.key for v in views]),
        variant=np.array([v.variant for v in views]),
        subject=np.array([v.subject for v in views]),
        label=np.array([v.label for v in views]),
        classes=np.stack([v.classes for v in views]),
        patches=np.stack([v.patches for v in views]),
        mask=np.stack([empty if v.mask is None else v.mask for v in views]),
        last_class=np.stack([v.last_class for v in views]),
    )
    temporary.rename(path)


def load_views(path: Path) -> list[ViewFeatures]:
    """What ``save_views`` wrote."""
    with np.load(path, allow_pickle=False) as stored:
        columns = {name: stored[name] for name in stored.files}
    return [
        ViewFeatures(
            str(columns["key"][k]),
            str(columns["variant"][k]),
            str(columns["subject"][k]),
            int(columns["label"][k]),
            columns["classes"][k],
            columns["patches"][k],
            None if columns["mask"][k][0] < 0 else columns["mask"][k],
            columns["last_class"][k],
        )
        for k in range(len(columns["key"]))
    ]
