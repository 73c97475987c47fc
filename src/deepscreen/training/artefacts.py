"""Where fitted heads, calibrations, fusions and reports are written; the same fit gives the same bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from deepscreen.scoring.calibration import Calibration
from deepscreen.scoring.fusion import Fusion
from deepscreen.weights.manifest import refresh_shipped
from deepscreen.weights.store import MANIFEST_NAME

# Manifest row -> stem of the file: one head a detector.
HEAD_STEMS = {
    "head-image": "image_clip",
    "head-face": "face_clip",
    "head-video": "video_clip",
    "head-audio": "audio_whisper",
}


@dataclass(frozen=True, slots=True)
class Artefacts:
    """A folder laid out like ``weights/``: heads/, calibrations/, reports/."""

    folder: Path

    def write_head(self, name: str, arrays: Mapping[str, NDArray[Any]]) -> str:
        """Writes the arrays as safetensors and gives the file's sha256."""
        content = save({key: np.ascontiguousarray(arrays[key]) for key in sorted(arrays)})
        self._file("heads", f"{HEAD_STEMS[name]}.safetensors").write_bytes(content)
        return hashlib.sha256(content).hexdigest()

    def head_sha256(self, name: str) -> str:
        """The sha256 of a head that was written before."""
        return hashlib.sha256(self._file("heads", f"{HEAD_STEMS[name]}.safetensors").read_bytes()).hexdigest()

    def head_arrays(self, name: str) -> dict[str, NDArray[Any]]:
        """The arrays of a head that was written before."""
        arrays: dict[str, NDArray[Any]] = load(self._file("heads", f"{HEAD_STEMS[name]}.safetensors").read_bytes())
        return arrays

    def write_calibration(self, calibration: Calibration) -> None:
        """Writes calibrations/<detector>.json."""
        calibration.save(self._file("calibrations", f"{calibration.detector}.json"))

    def write_fusion(self, fusion: Fusion) -> None:
        """Writes calibrations/<modality>_members.json."""
        fusion.save(self._file("calibrations", f"{fusion.modality}_members.json"))

    def write_report(self, name: str, report: Mapping[str, Any]) -> None:
        """Writes reports/<name>.json, from which the detector's card is made."""
        text = json.dumps(report, indent=1, sort_keys=True, ensure_ascii=False)
        self._file("reports", f"{name}.json").write_text(text + "\n", encoding="utf-8")

    def refresh_manifest(self) -> tuple[str, ...]:
        """Where the folder holds a manifest: renews the digests of what was written; gives the rows that changed."""
        manifest = self.folder / MANIFEST_NAME
        return refresh_shipped(manifest) if manifest.exists() else ()

    def _file(self, folder: str, name: str) -> Path:
        path = self.folder / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path
