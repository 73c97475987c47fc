"""``deepscreen evaluate`` from labelled files to the three files of its report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

from deepscreen.errors import ConfigError
from deepscreen.evaluation.datasets.item import Item
from deepscreen.evaluation.evaluation_page import evaluation_page
from deepscreen.evaluation.evaluation_report import PROTOCOL_WORDS, EvaluationReport, Request, report_of
from deepscreen.evaluation.leakage import WHAT_WAS_DONE, shuffled, transformed
from deepscreen.evaluation.score_rows import ScoredSet, write_scores
from deepscreen.evaluation.strata import STRATUM_KEYS
from deepscreen.record import Provenance
from deepscreen.report.wording import shown
from deepscreen.settings import Limits

JSON_NAME, HTML_NAME, SCORES_NAME = "evaluation.json", "evaluation.html", "scores.csv"
RECORDS_NAME, LEAKAGE_NAME, FEATURES_NAME = "records", "leakage", "features"
Choice = TypeVar("Choice", bound=str)


def checked_request(
    data_set: Path, out: Path, reader: str, *, protocol: str, leakage: str, by: str, seed: int
) -> Request:
    """What was asked for; raises ConfigError that names what there is, or for an *out* inside the data set."""
    folder, target = data_set.resolve(), out.resolve()
    if target == folder or folder in target.parents:
        raise ConfigError(f"{shown(str(out))}: lies inside the data set; choose --out elsewhere")
    keys = [key.strip() for key in by.split(",") if key.strip()]
    return Request(
        data_set=folder.name,
        reader=reader,
        protocol=_chosen(protocol, PROTOCOL_WORDS, "--protocol"),
        leakage=_chosen(leakage, WHAT_WAS_DONE, "--leakage"),
        by=tuple(_chosen(key, STRATUM_KEYS, "--by") for key in keys),
        seed=seed,
    )


def prepared(
    items: Sequence[Item], request: Request, out: Path, limits: Limits, on_item: Callable[[], None]
) -> list[Item]:
    """The items as the leakage test wants them; changed copies are kept below *out*."""
    if request.leakage == "none":
        return list(items)
    if request.leakage == "label-shuffled":
        return shuffled(items, seed=request.seed)
    return transformed(items, request.leakage, out / LEAKAGE_NAME / request.leakage, limits, on_item)


def features_folder(cache: Path, request: Request) -> Path:
    """Where the features of held-out protocols are kept: they depend on the picture as changed, and on its label."""
    if request.leakage == "none":
        return cache
    seed = f"-{request.seed}" if request.leakage == "label-shuffled" else ""
    return cache / f"{request.leakage}{seed}"


def write_evaluation(request: Request, scored: ScoredSet, method: Mapping[str, str], out: Path) -> EvaluationReport:
    """Computes all figures and writes evaluation.json, evaluation.html and scores.csv into *out*."""
    out.mkdir(parents=True, exist_ok=True)
    report = report_of(request, scored, method)
    write_scores(out / SCORES_NAME, scored.rows)
    (out / JSON_NAME).write_text(report.as_json(), encoding="utf-8", errors="backslashreplace")
    (out / HTML_NAME).write_text(evaluation_page(report), encoding="utf-8", errors="backslashreplace")
    return report


def method_words(provenance: Provenance) -> dict[str, str]:
    """By what an evaluation as shipped was made."""
    words = {
        "Software": provenance.software,
        "Method digest": provenance.method_digest,
        "Settings digest": provenance.settings_digest,
        "Device class, precision": f"{provenance.device_class}, {provenance.precision}",
    }
    lab = provenance.lab_calibration
    return words if lab is None else words | {"Calibration": f"{lab.name}, {lab.sha256}"}


def held_out_words(backbone_identity: str) -> dict[str, str]:
    """By what a held-out evaluation was made; its heads live no longer than it does."""
    return {
        "Software": f"deepscreen {version('deepscreen')}",
        "Backbone": backbone_identity,
        "Heads and calibrations": "fitted for this evaluation",
    }


def _chosen(given: str, choices: Iterable[Choice], option: str) -> Choice:
    chosen = next((choice for choice in choices if choice == given), None)
    if chosen is None:
        raise ConfigError(f"{option} {shown(given)!r}; want one of {', '.join(choices)}")
    return chosen
