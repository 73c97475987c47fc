"""What the tests of a lab's calibration share: a shipped scale that is badly off."""

from __future__ import annotations

from collections.abc import Sequence

from deepscreen.scoring.calibration import Calibration, Stratum
from deepscreen.scoring.fusion import Fusion, Scale
from deepscreen.settings import Settings

HEAD, OTHER_HEAD = "ab" * 32, "cd" * 32
SETTINGS = Settings(device="cpu")
# As an installation might ship it: it calls nearly everything a spoof.
SHIPPED = Stratum(slope=0.2, offset=2.5, bootstrap=((0.2, 2.5),), n_spoof=500, n_bona_fide=500, n_sources=198)


def scale_of(*names: str, strata: Sequence[str] = ("all",), fusion: Fusion | None = None) -> Scale:
    """A shipped scale of these detectors, all with the same strata."""
    calibrations = {name: Calibration(name, HEAD, dict.fromkeys(strata, SHIPPED)) for name in names}
    return Scale(calibrations, {"image": fusion} if fusion else {})
