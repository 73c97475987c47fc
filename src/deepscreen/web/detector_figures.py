"""What is known of each detector: its card, its weights, and how it did on files with known answers."""

from __future__ import annotations

from dataclasses import dataclass

from deepscreen.engine.about import DetectorInfo, MethodInfo
from deepscreen.report.validation_figures import ErrorRates, rates_of_detector
from deepscreen.web.detector_cards import are_figures_of


@dataclass(frozen=True, slots=True)
class DetectorFigures:
    """One detector of the method at work. ``weights``: names with the first digits of their sha256."""

    detector: DetectorInfo
    weights: tuple[tuple[str, str], ...]
    rates: tuple[ErrorRates, ...]


def detector_figures(method: MethodInfo) -> tuple[DetectorFigures, ...]:
    """All detectors of *method*; rates are those of the installed reports, where they are of its weights."""
    proven = {weight.name: weight.sha256 for weight in method.weights}
    return tuple(
        DetectorFigures(
            detector,
            tuple((name, proven[name][:16]) for name in detector.weights if name in proven),
            rates_of_detector(detector.name) if are_figures_of(detector, method) else (),
        )
        for detector in method.detectors
    )
