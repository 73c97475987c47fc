"""Fits a lab's calibrations: one stratum at a time, on logits of the shipped heads, where there is enough to fit on.

What decides a modality is fitted as well: the fusion's own calibration where enough items have all of its readings,
else the fusion is put aside and its lead speaks, so that the modality's likelihood ratio is the lab's in either case.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from deepscreen.detectors.contract import MOMENT_STRATUM
from deepscreen.evaluation.protocols import source_weights
from deepscreen.record import ModalityName
from deepscreen.scoring.calibration import DEFAULT_STRATUM, Stratum
from deepscreen.scoring.calibration_fit import BOOTSTRAP_ROUNDS, fit_stratum
from deepscreen.scoring.fusion import Fusion, Scale, fusion_name
from deepscreen.training.lab_media import LabItem

# Two parameters need few items, but the report beside them needs errors to count: with 30 items of a label and no error
# among them, the true rate may still be 10 % (rule of three).
MIN_ITEMS_PER_LABEL = 30
# Items of one source are not independent. With ten sources of each label the limit on |log10 LR|, log10(20 / 2 + 1),
# just reaches the default thresholds of the verdict; with fewer, no verdict but "inconclusive" would be possible.
MIN_SOURCES_PER_LABEL = 10
LABEL_NAMES = {0: "bona fide", 1: "spoof"}


@dataclass(frozen=True, slots=True, order=True)
class Subject:
    """What is fitted at once: one stratum of the calibration of a detector or fusion."""

    calibration: str
    stratum: str

    @property
    def title(self) -> str:
        """For people: the stratum is named where it is not the only one."""
        return self.calibration if self.stratum == DEFAULT_STRATUM else f"{self.calibration}, {self.stratum}"


@dataclass(frozen=True, slots=True)
class Enough:
    """Items and independent sources of each label, held against the least that is wanted."""

    n_items: Mapping[int, int]
    n_sources: Mapping[int, int]

    @classmethod
    def of(cls, pairs: Iterable[tuple[int, str]]) -> Enough:
        """From the label and cluster of each item."""
        listed = list(pairs)
        items = {label: sum(one == label for one, _ in listed) for label in LABEL_NAMES}
        sources = {label: len({cluster for one, cluster in listed if one == label}) for label in LABEL_NAMES}
        return cls(items, sources)

    @property
    def missing(self) -> str:
        """What is wanting, in words; empty where there is enough."""
        wanting = [
            f"{found[label]} {name} {what} of at least {least}"
            for label, name in LABEL_NAMES.items()
            for found, what, least in (
                (self.n_items, "items", MIN_ITEMS_PER_LABEL),
                (self.n_sources, "sources", MIN_SOURCES_PER_LABEL),
            )
            if found[label] < least
        ]
        return ", ".join(wanting)


@dataclass(frozen=True, slots=True)
class ModalityFit:
    """The lab's scale for one modality, which strata of it are the lab's, and what the others lacked."""

    modality: ModalityName
    items: tuple[LabItem, ...]
    scale: Scale
    fitted: tuple[Subject, ...]
    lacking: Mapping[Subject, Enough]


@dataclass(frozen=True, slots=True)
class Samples:
    """The logits of a subject with the labels and clusters of their items."""

    spoof_logits: NDArray[np.float64]
    labels: NDArray[np.int64]
    clusters: tuple[str, ...]

    def fit(self, n_rounds: int) -> Stratum:
        """The stratum that these give; sources weigh as they do in the fits of the shipped calibrations."""
        weights = source_weights(self.clusters, self.labels.tolist())
        return fit_stratum(self.spoof_logits, self.labels, self.clusters, weights, n_rounds=n_rounds)


def fit_modality(items: Sequence[LabItem], shipped: Scale) -> ModalityFit | None:
    """The fit on *items* of one modality; None where what decides it has too few."""
    modality = items[0].modality
    lacking = {subject: enough for subject, enough in enough_of(items, shipped).items() if enough.missing}
    fitted = tuple(sorted(set(samples_of(items, shipped)) - set(lacking)))
    if not any(subject.calibration in deciding(items, shipped) for subject in fitted):
        return None
    return ModalityFit(modality, tuple(items), lab_scale(items, fitted, shipped), fitted, lacking)


def enough_of(items: Sequence[LabItem], shipped: Scale) -> dict[Subject, Enough]:
    """What there is for each stratum of each calibration of the modality, those without a single reading included."""
    samples = samples_of(items, shipped)
    names = deciding(items, shipped) | _joint(items[0].modality, shipped)
    strata = {Subject(name, s) for name in names for s in shipped.calibrations[name].strata if s != MOMENT_STRATUM}
    empty = Enough.of(())
    found = {s: Enough.of(zip(one.labels.tolist(), one.clusters, strict=True)) for s, one in samples.items()}
    return {subject: found.get(subject, empty) for subject in sorted(strata | set(found))}


def deciding(items: Sequence[LabItem], shipped: Scale) -> frozenset[str]:
    """The calibrations that can decide the modality alone: the fusion's lead, else those of all its readings."""
    fusion = shipped.fusions.get(items[0].modality)
    if fusion is not None:
        return frozenset({fusion.lead})
    return frozenset(r.detector for i in items for r in i.result.readings if r.detector in shipped.calibrations)


def _joint(modality: str, shipped: Scale) -> frozenset[str]:
    """The calibrations of a fusion and of its members, where one is shipped."""
    fusion = shipped.fusions.get(modality)
    if fusion is None or not fusion.coefficients:
        return frozenset()
    return frozenset({*fusion.members, fusion_name(modality)}) & frozenset(shipped.calibrations)


def samples_of(items: Iterable[LabItem], shipped: Scale) -> dict[Subject, Samples]:
    """The logits that each calibration is asked about, by its stratum."""
    rows: dict[Subject, list[tuple[float, int, str]]] = {}
    for item in items:
        for subject, logit in _asked(item, shipped):
            rows.setdefault(subject, []).append((logit, item.label, item.cluster))
    return {
        subject: Samples(np.array([r[0] for r in own]), np.array([r[1] for r in own]), tuple(r[2] for r in own))
        for subject, own in rows.items()
    }


def _asked(item: LabItem, shipped: Scale) -> Iterator[tuple[Subject, float]]:
    if item.result.log10_lr is None:  # nothing was scored, or the item is of a kind that readings do not count for
        return
    for reading in item.result.readings:
        if reading.detector in shipped.calibrations and reading.stratum is not None:
            yield Subject(reading.detector, reading.stratum), reading.spoof_logit
    fusion = shipped.fusions.get(item.modality)
    fused = fusion.fused_logit({r.detector: r.spoof_logit for r in item.result.readings}) if fusion else None
    if fused is not None:
        yield Subject(fusion_name(item.modality), DEFAULT_STRATUM), fused


def lab_scale(
    items: Sequence[LabItem], fitted: Iterable[Subject], shipped: Scale, *, n_rounds: int = BOOTSTRAP_ROUNDS
) -> Scale:
    """*shipped* with the strata *fitted* fitted on *items* of one modality; a fusion without its own is put aside."""
    samples = samples_of(items, shipped)
    calibrations, fusions = dict(shipped.calibrations), dict(shipped.fusions)
    subjects = tuple(fitted)
    for subject in subjects:
        before = calibrations[subject.calibration]
        with threadpool_limits(1):  # hundreds of tiny fits would wait for each other's threads
            stratum = samples[subject].fit(n_rounds)
        strata = {**before.strata, subject.stratum: stratum}
        calibrations[subject.calibration] = replace(before, strata=strata)
    modality = items[0].modality
    if modality in fusions and Subject(fusion_name(modality), DEFAULT_STRATUM) not in subjects:
        fusions[modality] = _put_aside(fusions[modality])
    return Scale(calibrations, fusions)


def _put_aside(fusion: Fusion) -> Fusion:
    return replace(fusion, coefficients=(), intercept=0.0)
