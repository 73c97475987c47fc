"""The table of detectors: each row builds what it says, and what is built is known by the row's name."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

from deepscreen.detectors.device import CPU_BATCH, ComputePlan, plan_compute
from deepscreen.detectors.registry import DETECTORS, OFF_BY_DEFAULT, Workshop, build_detector, build_detectors
from deepscreen.errors import ConfigError
from deepscreen.settings import Settings
from deepscreen.weights.manifest import load_manifest
from deepscreen.weights.store import WeightsStore, shipped_dir

CARDS = {name: import_module(target.partition(":")[0]).CARD for name, target in DETECTORS.items()}


@pytest.mark.parametrize("name", DETECTORS)
def test_card_is_called_as_its_row(name: str) -> None:
    assert CARDS[name].name == name


@pytest.mark.parametrize("name", DETECTORS)
def test_card_says_what_it_is(name: str) -> None:
    card = CARDS[name]
    assert card.modality in {"image", "video", "audio"}
    assert card.version
    assert re.search(r"\w.*\.$", card.summary)


@pytest.mark.weights
@pytest.mark.parametrize("name", DETECTORS)
def test_card_names_rows_of_the_manifest_that_are_for_its_modality(name: str) -> None:
    manifest = load_manifest(shipped_dir() / "manifest.toml")
    rows = [manifest.row(weights) for weights in CARDS[name].weights]
    kinds = {row.kind for row in rows}
    assert {"head", "backbone"} <= kinds or "peer" in kinds
    assert [row.name for row in rows if CARDS[name].modality not in row.used_by] == []


def test_every_modality_has_a_detector() -> None:
    assert {card.modality for card in CARDS.values()} == {"image", "video", "audio"}


def test_table_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        DETECTORS["mine"] = "evil:build"  # type: ignore[index]


@pytest.mark.weights
def test_detectors_that_are_off_by_default_run_where_switched_on() -> None:
    workshop = Workshop(WeightsStore.from_settings(Settings()), ComputePlan("cpu", "fp32", 1))
    names = [
        [d.card.name for d in build_detectors(workshop, on)] for on in ((), Settings(audio_aasist=True).switched_on)
    ]
    assert names == [[name for name in DETECTORS if name not in OFF_BY_DEFAULT], list(DETECTORS)]


def test_unknown_detector_is_a_key_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="no_such"):
        build_detector("no_such", Workshop(WeightsStore.from_settings(Settings()), ComputePlan("cpu", "fp32", 1)))


def test_processor_runs_one_view_at_a_time_in_the_format_that_was_asked() -> None:
    assert plan_compute("cpu", "fp32") == ComputePlan("cpu", "fp32", CPU_BATCH)
    assert plan_compute("cpu", "bf16") == ComputePlan("cpu", "bf16", CPU_BATCH)
    assert plan_compute("cpu", "auto").precision in {"bf16", "fp32"}


def test_device_class_is_the_kind_of_device() -> None:
    assert [ComputePlan(d, "fp32", 1).device_class for d in ("cpu", "cuda:0", "cuda:3")] == ["cpu", "cuda", "cuda"]


def test_device_that_is_not_there_is_refused_with_what_to_do() -> None:
    with pytest.raises(ConfigError, match=r"device cuda:99: no such CUDA device; found \d+; use --device cpu"):
        plan_compute("cuda:99", "auto")
