"""Figures of a card that other commands than the fit make, in reports beside it: ``<detector>.<what>.json``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Rows = dict[str, dict[str, Any]]

SPANS, MAPS, ATTACKS = "spans", "maps", "attacks"
THRESHOLDS = {
    "at_policy_threshold": "at the log10 LR from which a span is reported",
    "interrupted_shots": "by the finding that a shot is interrupted",
    "at_few_false_spans": "at few false spans, by a threshold of the other folds",
}
SUBJECTS = {"image_clip": "whole picture", "face_clip": "face crop"}
SPAN_WORDS = {
    "video": (
        "One manipulated second in a minute",
        "Found: both ends within half a second.",
        "deepscreen evaluate-spans --manifest CLIPS --pictures PICTURES --cache CACHE --out OUT",
    ),
    "audio": (
        "One synthetic second in half a minute",
        "Found: both ends within one second. Half minutes are joined from bona fide recordings of one source; their"
        " controls have the same joins in the same places, a bona fide second in place of the synthetic one: a join is"
        " no cue. Intervals take the cases of a host for independent. The detector reports no such seconds.",
        "deepscreen evaluate-spans --manifest SPEECH --cache CACHE --out OUT",
    ),
}
MAP_FIGURES = ("pixel_auc", "iou", "pointing", "pointing_by_chance", "n")
WARMTH_FIGURES = ("pictures_within_limit", "n")


def further_tables(further: Mapping[str, Mapping[str, Any]], modality: str) -> Iterator[tuple[str, str, str, Rows]]:
    """(Heading, what is to be known, command, rows) of each report of *further*, which are by what they measure."""
    if SPANS in further:
        yield (*SPAN_WORDS[modality], _span_rows(further[SPANS]))
    if MAPS in further:
        command = "deepscreen evaluate-maps --manifest PICTURES --cache CACHE --out OUT"
        yield "Where heatmaps point", "", command, _map_rows(further[MAPS])
    if ATTACKS in further:
        command = "deepscreen evaluate-attacks --manifest PICTURES --out OUT"
        yield "Attacked, recaptured, passed on", "", command, _attack_rows(further[ATTACKS])


def _span_rows(report: Mapping[str, Any]) -> Rows:
    """Share of seconds that were found, both ends within the tolerance; false spans per untouched clip."""
    rows: Rows = {}
    for key, words in THRESHOLDS.items():
        if key not in report:
            continue
        part = report[key]
        found = {"all makers": part["found"], **part["by_maker"]}
        for maker, share in found.items():
            rows[f"{maker}, {words}"] = {
                "found": share["rate"],
                "found_low": share["low"],
                "found_high": share["high"],
                "n": share["n"],
            }
        rows[f"all makers, {words}"]["false_spans_per_untouched_clip"] = part["false_spans_per_untouched_clip"]
    honest = report.get("honest_clips_said_to_be_interrupted")
    if honest is not None:
        named = {"rate": "found", "low": "found_low", "high": "found_high", "n": "n"}
        rows["bona fide clips as they are, said to be interrupted"] = {named[key]: honest[key] for key in named}
    return rows


def _map_rows(report: Mapping[str, Any]) -> Rows:
    """Manipulations by makers, and of sources, that the patch head did not see; and untouched photographs."""
    rows: Rows = {}
    for detector, subject in SUBJECTS.items():
        part = report[detector]
        judged = {"all makers": part, **part["by_maker"], "masks from elsewhere": part.get("external masks", {"n": 0})}
        for maker, figures in judged.items():
            if figures["n"]:
                rows[f"{subject}: {maker}"] = {name: figures[name] for name in MAP_FIGURES}
        if part["untouched"]["n"]:
            rows[f"{subject}: untouched"] = {name: part["untouched"][name] for name in WARMTH_FIGURES}
    return rows


def _attack_rows(report: Mapping[str, Any]) -> Rows:
    """Pictures of the release split, by each head alone; who has the open weights can move a score as they like."""
    rows: Rows = {}
    for detector, subject in SUBJECTS.items():
        part = report[detector]
        counts = {"n_bona_fide": part["n_bona_fide"], "n_spoof": part["n_spoof"]}
        for name, figures in part["conditions"].items():
            known = {key: value for key, value in figures.items() if value is not None}
            rows[f"{subject}: {name}"] = known | counts
    return rows
