"""Backbone features of labelled pictures and their faces, computed once and kept in a cache folder as .npz files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from pillow_heif import register_heif_opener

from deepscreen.detectors.clip_features import ClipFeatures
from deepscreen.detectors.views import MIN_FACE_PX, face_view, whole_view
from deepscreen.evaluation.protocols import is_release_split
from deepscreen.faces import Face, FaceLocator
from deepscreen.media.samples import Pixels
from deepscreen.training.labelled import LabelledFile, item_rng
from deepscreen.training.launder import STRESSES, launder, pass_on
from deepscreen.training.makers.parts import Blend
from deepscreen.training.non_photographs import draw_non_photograph
from deepscreen.training.self_blend import self_blend, self_splice
from deepscreen.training.view_geometry import (
    PATCH_GRID,
    bounded,
    inner,
    landmarks_in_neighbourhood,
    neighbourhood,
    to_grid,
)

# A backbone pass costs 0.1 to 0.7 s: laundered copies, splices and tests are made of a part of the files, drawn by
# hash.
LAUNDERED_SHARE = 0.5
SPLICED_SHARE = 0.5
STRESSED_SHARE = 0.15
PASSED_ON_SHARE = 0.5  # of the laundered copies: shared over networks instead of treated at random
SELF_BLENDS_PER_FACE = 2


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
        return np.array(ImageOps.exif_transpose(picture).convert("RGB"), dtype=np.uint8)


class FeatureCache:
    """Features by file and part, kept as one .npz each under *folder*; computed where they are missing.

    Parts: the file as it is; for fitting its laundered copy and what was forged from it; its copies after each stress.
    """

    def __init__(self, folder: Path, clip: ClipFeatures, locator: FaceLocator, *, seed: int) -> None:
        self._folder, self.clip, self.locator, self._seed = folder, clip, locator, seed
        folder.mkdir(parents=True, exist_ok=True)

    def features(self, file: LabelledFile) -> list[ViewFeatures]:
        """All views of one file; of the release split, which is never fitted on, only the file as it is."""
        if is_release_split(file.source):
            return self.base(file)
        return [*self.base(file), *self.laundered(file), *self.forged(file)]

    def base(self, file: LabelledFile) -> list[ViewFeatures]:
        """The whole picture and its largest face, as a detector would see them."""
        return self._kept("base", file, self._base)

    def laundered(self, file: LabelledFile) -> list[ViewFeatures]:
        """Both of a copy that was treated as pictures are on their way to an examiner; of a part of the files."""
        if item_rng(file.key, "laundered", self._seed).random() >= LAUNDERED_SHARE:
            return []
        return self._kept("laundered", file, self._laundered)

    def forged(self, file: LabelledFile) -> list[ViewFeatures]:
        """A bona fide picture spliced, and its face blended, each with its mask and laundered; blends with twins."""
        return self._kept("forged", file, self._forged) if file.label == 0 else []

    def stressed(self, file: LabelledFile) -> list[ViewFeatures]:
        """Whole and face after each of ``STRESSES``, the variant named by it; a face that is lost has no view.

        Nothing for the files that are not among those tested so.
        """
        if item_rng(file.key, "stress", self._seed).random() >= STRESSED_SHARE:
            return []
        return self._kept("stressed", file, self._stressed)

    def _kept(
        self, part: str, file: LabelledFile, compute: Callable[[LabelledFile, Pixels], Iterator[ViewFeatures]]
    ) -> list[ViewFeatures]:
        name = hashlib.sha256(f"{self._seed}|{self.clip.identity}|{part}|{file.key}".encode()).hexdigest()[:32]
        path = self._folder / f"{name}.npz"
        if not path.exists():
            save_views(path, list(compute(file, load_pixels(file.path))))
        return load_views(path)

    def drawn(self, count: int) -> NDArray[np.float32]:
        """Class tokens (count, 6 * 768) of pictures that are no photographs, made and laundered here."""
        name = hashlib.sha256(f"{self._seed}|{self.clip.identity}|drawn|{count}".encode()).hexdigest()[:32]
        path = self._folder / f"{name}.npy"
        if not path.exists():
            np.save(path, np.stack([self._draw(number) for number in range(count)]))
        return np.asarray(np.load(path, allow_pickle=False), dtype=np.float32)

    def _draw(self, number: int) -> NDArray[np.float32]:
        rng = item_rng(f"drawn {number}", "gate", self._seed)
        return self.clip.tokens([whole_view(launder(draw_non_photograph(rng), rng)).pixels])[0].classes.ravel()

    def _base(self, file: LabelledFile, pixels: Pixels) -> Iterator[ViewFeatures]:
        yield self._view(file, "base", "whole", file.label, whole_view(pixels).pixels, None)
        for face in self._faces(pixels):
            yield self._view(file, "base", "face", file.label, face_view(pixels, face).pixels, None)

    def _laundered(self, file: LabelledFile, pixels: Pixels) -> Iterator[ViewFeatures]:
        rng = item_rng(file.key, "launder", self._seed)
        treat = pass_on if rng.random() < PASSED_ON_SHARE else launder
        yield self._view(file, "laundered", "whole", file.label, whole_view(treat(pixels, rng)).pixels, None)
        for face in self._faces(pixels):
            treated = inner(treat(neighbourhood(pixels, face), rng))
            yield self._view(file, "laundered", "face", file.label, treated, None)

    def _stressed(self, file: LabelledFile, pixels: Pixels) -> Iterator[ViewFeatures]:
        for name, stress in STRESSES.items():
            treated = stress(pixels)
            yield self._view(file, name, "whole", file.label, whole_view(treated).pixels, None)
            for face in self._faces(treated):
                yield self._view(file, name, "face", file.label, face_view(treated, face).pixels, None)

    def _forged(self, file: LabelledFile, pixels: Pixels) -> Iterator[ViewFeatures]:
        rng = item_rng(file.key, "splice", self._seed)
        if "crop" not in file.kind and rng.random() < SPLICED_SHARE:
            spliced = self_splice(bounded(pixels), rng)
            yield self._laundered_blend(file, "spliced", "whole", spliced, rng, lambda p: whole_view(p).pixels)
        rng = item_rng(file.key, "face", self._seed)
        for face in self._faces(pixels):
            yield from self._self_blends(file, face, neighbourhood(pixels, face), rng)

    def _faces(self, pixels: Pixels) -> list[Face]:
        """The largest face, if it is large enough."""
        return [face for face in self.locator.locate(pixels, max_faces=1) if face.size_px >= MIN_FACE_PX]

    def _self_blends(
        self, file: LabelledFile, face: Face, around: Pixels, rng: np.random.Generator
    ) -> Iterator[ViewFeatures]:
        landmarks = landmarks_in_neighbourhood(face, around.shape[0])
        for k in range(SELF_BLENDS_PER_FACE):
            blend = self_blend(around, landmarks, rng)
            state = rng.bit_generator.state
            yield self._laundered_blend(file, f"blend-{k}", "face", blend, rng, inner)
            rng.bit_generator.state = state  # the bona fide twin goes through the very same laundering
            yield self._view(file, f"twin-{k}", "face", 0, inner(launder(around, rng)), None)

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
        return self._view(file, variant, subject, 1, view, to_grid(mask))

    def _view(
        self,
        file: LabelledFile,
        variant: str,
        subject: str,
        label: int,
        view: Pixels,
        mask: NDArray[np.float32] | None,
    ) -> ViewFeatures:
        return ViewFeatures.of(self.clip, view, file, variant, subject, label, mask)


def save_views(path: Path, views: Sequence[ViewFeatures]) -> None:
    """One .npz, written to a temporary name and moved, so that a killed run leaves no half file."""
    empty = np.full(PATCH_GRID**2, -1, np.float32)
    temporary = path.with_suffix(".tmp.npz")
    np.savez(
        temporary,
        key=np.array([v.key for v in views], dtype=np.str_),
        variant=np.array([v.variant for v in views], dtype=np.str_),
        subject=np.array([v.subject for v in views], dtype=np.str_),
        label=np.array([v.label for v in views], dtype=np.int64),
        classes=np.array([v.classes for v in views]),
        patches=np.array([v.patches for v in views]),
        mask=np.array([empty if v.mask is None else v.mask for v in views]),
        last_class=np.array([v.last_class for v in views]),
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
