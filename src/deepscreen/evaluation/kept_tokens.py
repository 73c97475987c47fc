"""CLIP tokens kept by what a view shows: frames that two files share are read once, and a second run reads none."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from deepscreen.detectors.clip_features import ClipFeatures, ViewTokens
from deepscreen.media.samples import Pixels

NO_PATCHES = np.zeros((0, 0), dtype=np.float32)


class KeptClassTokens(ClipFeatures):
    """Features whose class tokens are kept in a folder; they have no patches, and so serve for log-odds alone."""

    def __init__(self, features: ClipFeatures, folder: Path) -> None:
        super().__init__(features._backbone)
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def tokens(self, views: Sequence[Pixels]) -> list[ViewTokens]:
        """Class tokens of each view, in order."""
        return [self._one(view) for view in views]

    def _one(self, view: Pixels) -> ViewTokens:
        name = hashlib.sha256(self.identity.encode() + np.ascontiguousarray(view).tobytes()).hexdigest()[:32]
        path = self._folder / f"{name}.npy"
        if not path.exists():
            temporary = path.with_suffix(".tmp.npy")
            np.save(temporary, super().tokens([view])[0].classes)
            temporary.rename(path)
        return ViewTokens(np.asarray(np.load(path, allow_pickle=False), dtype=np.float32), NO_PATCHES)
