"""Calibration: its own fitted file that turns a ``spoof_logit`` into a bounded likelihood ratio.

An affine map of the logit (Platt scaling with the prior taken out) fitted on logits of sources that the head never saw,
with an interval from resampling whole sources, and a limit on |log10 LR| that follows from the size of the validation
set: a method tested on a few hundred items cannot claim more than those items can show.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from deepscreen.errors import CalibrationError

LN10 = float(np.log(10))
DEFAULT_STRATUM = "all"
LR_DECIMALS = 3


@dataclass(frozen=True, slots=True)
class CalibratedLr:
    """Log10 likelihood ratio, spoof over bona fide, its 95 % interval, and the limit on its size."""

    log10_lr: float
    low: float
    high: float
    limit: float
    stratum: str


@dataclass(frozen=True, slots=True)
class Stratum:
    """The map of one quality stratum: natural-log LLR = slope * spoof_logit + offset, and its bootstrap rounds."""

    slope: float
    offset: float
    bootstrap: tuple[tuple[float, float], ...]
    n_spoof: int
    n_bona_fide: int
    n_sources: int

    @property
    def limit_log10(self) -> float:
        """Largest |log10 LR| that this many sources can support.

        With n sources per class and no misleading one seen beyond a score, the rate of misleading ones there may still
        be about 1 / (n + 1) (rule of succession); items of a source are not independent, so sources are counted.
        """
        return float(np.log10(self.n_sources / 2 + 1))


@dataclass(frozen=True, slots=True)
class Calibration:
    """Fitted strata of one detector's head, which it names by sha256 (several heads: joined by "+")."""

    detector: str
    head_sha256: str
    strata: dict[str, Stratum]

    def apply(self, spoof_logit: float, stratum: str = DEFAULT_STRATUM) -> CalibratedLr:
        """The bounded LR for a logit; an unknown stratum is an error, never a silent default."""
        if stratum not in self.strata:
            raise CalibrationError(f"{self.detector}: no calibration stratum {stratum!r}, only {sorted(self.strata)}")
        fit = self.strata[stratum]
        limit = fit.limit_log10
        rounds = np.array([slope * spoof_logit + offset for slope, offset in fit.bootstrap]) / LN10
        low, high = np.percentile(rounds, [2.5, 97.5])
        point = (fit.slope * spoof_logit + fit.offset) / LN10
        low, point, high = (round(float(np.clip(v, -limit, limit)), LR_DECIMALS) for v in (low, point, high))
        return CalibratedLr(point, min(low, point), max(high, point), round(limit, LR_DECIMALS), stratum)

    def as_json(self) -> str:
        """JSON, the same text for the same calibration."""
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"

    def save(self, path: Path) -> None:
        """Writes what ``as_json`` gives."""
        path.write_text(self.as_json(), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Calibration:
        """Reads what ``save`` wrote; raises CalibrationError for anything else."""
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            strata = {
                name: Stratum(**{**fit, "bootstrap": tuple((float(a), float(b)) for a, b in fit["bootstrap"])})
                for name, fit in data["strata"].items()
            }
            return cls(str(data["detector"]), str(data["head_sha256"]), strata)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CalibrationError(f"{path.name}: not a calibration file ({error})") from error
