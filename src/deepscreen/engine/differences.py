"""In what two methods differ: software, networks, weights, calibrations, thresholds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deepscreen.engine.about import MethodInfo

# What each line is about, in the order that they are told; also the words for it.
KINDS = ("Software and machine", "Detector", "Weights or calibration", "Lab calibration", "Threshold", "Limit")
MACHINE, DETECTOR, WEIGHTS, LAB, POLICY, LIMITS = KINDS


@dataclass(frozen=True, slots=True)
class Difference:
    """A part that is not the same in both; None: one of them has no such part."""

    about: str
    part: str
    one: str | None
    other: str | None


def differences(one: MethodInfo, other: MethodInfo) -> tuple[Difference, ...]:
    """All of them. Methods of one digest have none that can change a number."""
    return tuple(_all(one, other))


def _all(one: MethodInfo, other: MethodInfo) -> Iterator[Difference]:
    yield from _of(MACHINE, _machine(one), _machine(other))
    yield from _of(DETECTOR, *({d.name: f"version {d.version}" for d in method.detectors} for method in (one, other)))
    yield from _of(WEIGHTS, *({w.name: w.sha256 for w in method.weights} for method in (one, other)))
    labs = [method.lab_calibration for method in (one, other)]
    yield from _of(LAB, *({"lab": f"{lab.name}, {lab.sha256}"} if lab else {} for lab in labs))
    for about, models in ((POLICY, (one.policy, other.policy)), (LIMITS, (one.limits, other.limits))):
        if models[0] is not None and models[1] is not None:  # where one was not told, nothing is known of it
            yield from _of(about, *(model.model_dump(mode="json") for model in models if model is not None))
        elif one.settings_digest != other.settings_digest:
            yield Difference(about, "settings_digest", one.settings_digest, other.settings_digest)


def _machine(method: MethodInfo) -> dict[str, Any]:
    return {name: getattr(method, name) for name in ("software", "device_class", "precision", "profile")}


def _of(about: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[Difference]:
    for part in sorted(one.keys() | other.keys()):
        values = [None if part not in parts else str(parts[part]) for parts in (one, other)]
        if values[0] != values[1]:
            yield Difference(about, part, *values)
