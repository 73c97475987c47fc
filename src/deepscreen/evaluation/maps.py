"""Heatmaps on manipulations by makers, and of sources, that their head was not fitted on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepscreen.detectors.linear_head import LinearHead
from deepscreen.detectors.views import whole_view
from deepscreen.evaluation.map_figures import ReadMap, by_maker, warmth
from deepscreen.evaluation.map_heads import AS_FITTED, GROUPS, N_FOLDS, Taught, part_of, teach, with_makers
from deepscreen.training.fit_image import fold_of
from deepscreen.training.image_features import ViewFeatures, load_pixels
from deepscreen.training.labelled import LabelledFile, item_rng
from deepscreen.training.view_fit import ReadViews
from deepscreen.training.view_geometry import to_grid

EXTERNAL = "external masks"
FITTED_MAKERS = GROUPS["self"]  # those that `fit image` uses


@dataclass(frozen=True, slots=True, repr=False)
class MapData:
    """Pictures in folds of whole sources; ``hosts``: bona fide ones of which manipulations were made."""

    files: list[LabelledFile]
    folds: NDArray[np.int64]
    hosts: list[LabelledFile]
    read: ReadViews
    made: ReadViews

    @classmethod
    def of(cls, files: Sequence[LabelledFile], read: ReadViews, made: ReadViews, n_hosts: int, seed: int) -> MapData:
        """``n_hosts``: drawn by hash."""
        bona_fide = [file for file in files if file.label == 0]
        drawn = sorted(bona_fide, key=lambda f: item_rng(f.key, "map host", seed).random())[:n_hosts]
        return cls(list(files), fold_of(files) % N_FOLDS, drawn, read, made)

    @property
    def fold_by_key(self) -> dict[str, int]:
        """The fold of each file."""
        return {file.key: int(fold) for file, fold in zip(self.files, self.folds, strict=True)}


def map_report(data: MapData, subject: str, *, seed: int) -> dict[str, Any]:
    """Figures of both recipes on the views of *subject*: patches taught as `fit image` does, and with makers added."""
    taught = teach(data.files, data.folds, subject, data.read, data.hosts, data.made, seed=seed)
    report = {
        "as_fitted": by_maker(list(_as_fitted(data, subject, taught))),
        "with_makers": by_maker(list(_with_makers(data, subject, taught))),
    }
    for name, parts in (("as_fitted", AS_FITTED), ("with_makers", with_makers(None))):
        heads = {fold: taught.head(parts, fold) for fold in range(N_FOLDS)}
        untouched, external = [], []
        for file, fold in zip(data.files, data.folds, strict=True):
            view = _base(data, file, subject) if file.label == 0 or file.mask_path else None
            if view is None:
                continue
            logits = heads[int(fold)].logit(view.patches)
            if file.label == 0:
                untouched.append(logits)
            elif subject == "whole":
                external.append(ReadMap(file.kind, logits, external_mask(file)))
        report[name] |= {"untouched": warmth(untouched), EXTERNAL: by_maker(external)}
    return report


def external_mask(file: LabelledFile) -> NDArray[np.float32]:
    """The mask that came with a picture, on the grid of its whole view."""
    if file.mask_path is None:
        raise ValueError(f"{file.key}: has no mask")
    mask = np.where(load_pixels(file.mask_path).max(axis=2, keepdims=True) > 127, 255, 0).astype(np.uint8)
    share = whole_view(np.repeat(mask, 3, axis=2)).pixels[:, :, 0].astype(np.float32) / np.float32(255)
    return to_grid(share)


def _as_fitted(data: MapData, subject: str, taught: Taught) -> Iterator[ReadMap]:
    """All makers that `fit image` does not use."""
    heads, fold_by_key = {fold: taught.head(AS_FITTED, fold) for fold in range(N_FOLDS)}, data.fold_by_key
    for host in data.hosts:
        head = heads[fold_by_key[host.key]]
        for view in data.made(host):
            if view.subject == subject and view.mask is not None and view.variant not in FITTED_MAKERS:
                yield ReadMap(view.variant, head.logit(view.patches), view.mask)


def _with_makers(data: MapData, subject: str, taught: Taught) -> Iterator[ReadMap]:
    """All makers, each by a head that was fitted without its group."""
    heads: dict[tuple[str, int], LinearHead] = {}
    fold_by_key = data.fold_by_key
    for host in data.hosts:
        for view in data.made(host):
            if view.subject != subject or view.mask is None:
                continue
            key = (part_of(view.variant), fold_by_key[host.key])
            if key not in heads:
                heads[key] = taught.head(with_makers(key[0]), key[1])
            yield ReadMap(view.variant, heads[key].logit(view.patches), view.mask)


def _base(data: MapData, file: LabelledFile, subject: str) -> ViewFeatures | None:
    return next((v for v in data.read(file) if v.subject == subject and v.variant == "base"), None)
