"""Fusion of several detectors of one modality into one likelihood ratio, and the honest way out when it does not pay.

A fusion is a linear combination of the members' logits with a calibration of its own. It is shipped only if it beats
its best member on held-out sources; otherwise ``coefficients`` is empty and the ``lead`` speaks for the modality.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from deepscreen.errors import CalibrationError
from deepscreen.scoring.calibration import CalibratedLr, Calibration


def fusion_name(modality: str) -> str:
    """By what name the fusion of a modality has its calibration."""
    return f"{modality}_fusion"


@dataclass(frozen=True, slots=True)
class Fusion:
    """How the detectors of a modality are joined. ``coefficients``: one a member, or empty where none is shipped."""

    modality: str
    members: tuple[str, ...]
    lead: str
    coefficients: tuple[float, ...]
    intercept: float

    def fused_logit(self, spoof_logits: Mapping[str, float]) -> float | None:
        """The joint logit, or None where a member has no reading or no fusion is shipped."""
        if not self.coefficients or any(name not in spoof_logits for name in self.members):
            return None
        terms = zip(self.members, self.coefficients, strict=True)
        return sum(c * spoof_logits[name] for name, c in terms) + self.intercept

    def as_json(self) -> str:
        """JSON, the same text for the same fusion."""
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"

    def save(self, path: Path) -> None:
        """Writes what ``as_json`` gives."""
        path.write_text(self.as_json(), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Fusion:
        """Reads what ``save`` wrote; raises CalibrationError for anything else."""
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            return cls(
                str(data["modality"]),
                tuple(map(str, data["members"])),
                str(data["lead"]),
                tuple(map(float, data["coefficients"])),
                float(data["intercept"]),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CalibrationError(f"{path.name}: not a fusion file ({error})") from error


@dataclass(frozen=True, slots=True)
class Scale:
    """Everything that turns logits into likelihood ratios: calibrations by detector (or fusion) name, and fusions."""

    calibrations: Mapping[str, Calibration]
    fusions: Mapping[str, Fusion]

    def reading_lr(self, detector: str, spoof_logit: float, stratum: str) -> CalibratedLr | None:
        """One detector's LR; None where no calibration belongs to it."""
        calibration = self.calibrations.get(detector)
        return calibration.apply(spoof_logit, stratum) if calibration else None

    def modality_lr(self, modality: str, lrs: Mapping[str, CalibratedLr], logits: Mapping[str, float]) -> CalibratedLr:
        """The modality's LR from its detectors' readings (one at least): fused, else the lead's, else the only one."""
        fusion = self.fusions.get(modality)
        if fusion is None:
            return next(iter(lrs.values()))
        fused = fusion.fused_logit(logits)
        if fused is not None:
            return self.calibrations[fusion_name(modality)].apply(fused)
        return lrs.get(fusion.lead) or next(iter(lrs.values()))
