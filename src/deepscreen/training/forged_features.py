"""Features of local manipulations made here from bona fide pictures: what the patch heads learn places from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from deepscreen.detectors.clip_features import ClipFeatures
from deepscreen.detectors.views import MIN_FACE_PX, whole_view
from deepscreen.faces import FaceLocator
from deepscreen.media.samples import Pixels
from deepscreen.training.image_features import FeatureCache, ViewFeatures, load_pixels, load_views, save_views
from deepscreen.training.labelled import LabelledFile, item_rng
from deepscreen.training.launder import launder
from deepscreen.training.makers.parts import Blend
from deepscreen.training.makers.people import FACE_MAKERS, FaceHost
from deepscreen.training.makers.scenes import SCENE_MAKERS
from deepscreen.training.view_geometry import bounded, inner, landmarks_in_neighbourhood, neighbourhood, to_grid

# A backbone pass costs 0.15 s on two cores: each host goes to a few makers, drawn by hash, and each maker gets hosts of
# nearly all sources.
MAKERS_PER_SCENE, MAKERS_PER_FACE = 3, 3
N_HOSTS = 400  # bona fide pictures that are manipulated, drawn by hash
DONORS_TRIED = 4  # a picture without a face gives none
TWIN = "twin"
FORGED_NAME = "map-forgeries"  # of the folder of their features
Maker = TypeVar("Maker")


@dataclass(frozen=True, slots=True, repr=False)
class Forgery:
    """One view made from a bona fide picture and laundered. ``mask``: (224, 224), 1 = made; all 0 for a twin."""

    maker: str  # a name of SCENE_MAKERS or FACE_MAKERS, or TWIN: the picture as it was, laundered alike
    subject: str  # "whole" or "face"
    view: Pixels
    mask: NDArray[np.float32]


class Forger:
    """Makes local manipulations of bona fide pictures; the same for the same seed and donors, whatever the order.

    ``files``: their bona fide ones are hosts, some drawn by hash, and donors of parts to others.
    """

    def __init__(self, locator: FaceLocator, files: Sequence[LabelledFile], *, seed: int) -> None:
        self._locator, self._seed = locator, seed
        self._donors = [file for file in files if file.label == 0]
        by_hash = sorted(self._donors, key=lambda f: item_rng(f.key, "map host", seed).random())
        self._host_keys = frozenset(file.key for file in by_hash[:N_HOSTS])

    @property
    def identity(self) -> str:
        """What the forgeries depend on besides their host."""
        keys = "|".join(file.key for file in self._donors)
        names = ",".join([*SCENE_MAKERS, *FACE_MAKERS])
        counts = f"{MAKERS_PER_SCENE},{MAKERS_PER_FACE}"
        return hashlib.sha256(f"{self._seed}|{names}|{counts}|{keys}".encode()).hexdigest()

    def is_host(self, file: LabelledFile) -> bool:
        """Whether something is made of it."""
        return file.key in self._host_keys

    def forgeries(self, file: LabelledFile) -> Iterator[Forgery]:
        """All that is made of one file; nothing of what is no host."""
        if self.is_host(file):
            pixels = load_pixels(file.path)
            yield from self._scenes(file, bounded(pixels))
            yield from self._people(file, pixels)

    def _scenes(self, file: LabelledFile, pixels: Pixels) -> Iterator[Forgery]:
        if "crop" in file.kind:
            return
        donor = bounded(load_pixels(self._drawn(file, "donor", 1)[0].path))
        untouched = Blend(pixels, np.zeros(pixels.shape[:2], np.float32))
        yield _scene(TWIN, untouched, item_rng(file.key, "scene twin", self._seed))
        for name, make in self._chosen(file, SCENE_MAKERS, MAKERS_PER_SCENE):
            rng = item_rng(file.key, name, self._seed)
            yield _scene(name, make(pixels, donor, rng), rng)

    def _people(self, file: LabelledFile, pixels: Pixels) -> Iterator[Forgery]:
        host = self._host(pixels)
        if host is None:
            return
        untouched = Blend(host.pixels, np.zeros(host.pixels.shape[:2], np.float32))
        yield _person(TWIN, untouched, item_rng(file.key, "face twin", self._seed))
        donor = next((d for f in self._drawn(file, "face donor", DONORS_TRIED) if (d := self._face_of(f))), None)
        for name, make in self._chosen(file, FACE_MAKERS, MAKERS_PER_FACE):
            if donor is not None:
                rng = item_rng(file.key, name, self._seed)
                yield _person(name, make(host, donor, rng), rng)

    def _chosen(self, file: LabelledFile, makers: Mapping[str, Maker], count: int) -> list[tuple[str, Maker]]:
        order = item_rng(file.key, "makers", self._seed).permutation(len(makers))[:count]
        return [list(makers.items())[k] for k in order]

    def _drawn(self, file: LabelledFile, purpose: str, count: int) -> list[LabelledFile]:
        numbers = item_rng(file.key, purpose, self._seed).integers(0, len(self._donors), count)
        return [self._donors[k] for k in numbers]

    def _face_of(self, file: LabelledFile) -> FaceHost | None:
        return self._host(load_pixels(file.path))

    def _host(self, pixels: Pixels) -> FaceHost | None:
        faces = [face for face in self._locator.locate(pixels, max_faces=1) if face.size_px >= MIN_FACE_PX]
        if not faces:
            return None
        around = neighbourhood(pixels, faces[0])
        return FaceHost(around, landmarks_in_neighbourhood(faces[0], around.shape[0]))


def _scene(maker: str, blend: Blend, rng: np.random.Generator) -> Forgery:
    return Forgery(
        maker, "whole", whole_view(launder(blend.pixels, rng)).pixels, _share(whole_view(_rgb(blend)).pixels)
    )


def _person(maker: str, blend: Blend, rng: np.random.Generator) -> Forgery:
    return Forgery(maker, "face", inner(launder(blend.pixels, rng)), _share(inner(_rgb(blend))))


def _rgb(blend: Blend) -> Pixels:
    """The mask as a picture, so that it goes the way of the pixels."""
    return np.repeat(np.rint(blend.mask * 255).astype(np.uint8)[:, :, None], 3, axis=2)


def _share(mask_view: Pixels) -> NDArray[np.float32]:
    return np.asarray(mask_view[:, :, 0], dtype=np.float32) / np.float32(255)


class ForgedFeatures:
    """Features of a forger's work by host, kept as one .npz a host under *folder*; computed where they are missing."""

    def __init__(self, folder: Path, clip: ClipFeatures, forger: Forger) -> None:
        self._folder, self._clip, self.forger = folder, clip, forger
        folder.mkdir(parents=True, exist_ok=True)

    def features(self, file: LabelledFile) -> list[ViewFeatures]:
        """One view a forgery, in the forger's order, ``variant`` being its maker; nothing of what is no host."""
        if not self.forger.is_host(file):
            return []
        name = hashlib.sha256(f"{self.forger.identity}|{self._clip.identity}|{file.key}".encode()).hexdigest()[:32]
        path = self._folder / f"{name}.npz"
        if not path.exists():
            save_views(path, [self._features(file, forgery) for forgery in self.forger.forgeries(file)])
        return load_views(path)

    def _features(self, file: LabelledFile, made: Forgery) -> ViewFeatures:
        mask, label = (None, 0) if made.maker == TWIN else (to_grid(made.mask), 1)
        return ViewFeatures.of(self._clip, made.view, file, made.maker, made.subject, label, mask)


def forged_features(images: FeatureCache, cache: Path, files: Sequence[LabelledFile], *, seed: int) -> ForgedFeatures:
    """Those of what is made of *files*, kept below *cache* beside those of the *images*."""
    return ForgedFeatures(cache / FORGED_NAME, images.clip, Forger(images.locator, files, seed=seed))
