"""Settings come from the environment or from options, and a wrong one is an error that names it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from deepscreen.errors import ConfigError
from deepscreen.settings import ENV_PREFIX, RECIPE_VARIABLES, Limits, Settings, VerdictPolicy, load_settings


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.startswith(ENV_PREFIX)]:
        monkeypatch.delenv(variable)


def test_defaults_are_closed_and_offline() -> None:
    settings = load_settings()
    assert (settings.host, settings.allow_unauthenticated_network) == ("127.0.0.1", False)
    assert (settings.device, settings.precision) == ("auto", "auto")


def test_environment_sets_plain_and_nested_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPSCREEN_DEVICE", "cpu")
    monkeypatch.setenv("DEEPSCREEN_WEIGHTS_CACHE", "/some/where")
    monkeypatch.setenv("DEEPSCREEN_LIMITS__MAX_FRAMES", "12")
    monkeypatch.setenv("DEEPSCREEN_POLICY__PRIOR_SPOOF", "0.01")
    settings = load_settings()
    assert (settings.device, settings.weights_cache) == ("cpu", Path("/some/where"))
    assert (settings.limits.max_frames, settings.policy.prior_spoof) == (12, 0.01)
    assert settings.limits.max_faces == Limits().max_faces


def test_option_beats_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPSCREEN_DEVICE", "cuda")
    assert load_settings(device="cpu").device == "cpu"


@pytest.mark.parametrize("variable", ["DEEPSCREEN_DEVISE", "DEEPSCREEN_LIMIT__MAX_FRAMES", "DEEPSCREEN_"])
def test_unknown_variable_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "1")
    with pytest.raises(ConfigError, match=f"unknown setting {variable}; `deepscreen info` lists the settings"):
        load_settings()


def test_unknown_nested_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPSCREEN_LIMITS__MAX_FRAME", "1")
    with pytest.raises(ConfigError, match="max_frame"):
        load_settings()


@pytest.mark.parametrize("variable", sorted(RECIPE_VARIABLES))
def test_switches_of_the_recipes_are_no_settings(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "1")
    assert load_settings() == Settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [("device", "gpu"), ("device", "cuda:x"), ("precision", "fp16"), ("port", 70_000), ("max_concurrent", 0)],
)
def test_wrong_value_names_the_setting(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"wrong settings: {name}: "):
        load_settings(**{name: value})


@pytest.mark.parametrize("prior", [0.0, 1.0, -0.1])
def test_prior_of_certainty_is_refused(prior: float) -> None:
    with pytest.raises(ValidationError):
        VerdictPolicy(prior_spoof=prior)


def test_thresholds_on_the_wrong_side_are_refused() -> None:
    with pytest.raises(ValidationError):
        VerdictPolicy(spoof_min_log10_lr=-1.0)
    with pytest.raises(ValidationError):
        VerdictPolicy(bona_fide_max_log10_lr=0.5)


@pytest.mark.parametrize("record", [Settings(), Limits(), VerdictPolicy()])
def test_settings_cannot_be_changed(record: BaseModel) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        setattr(record, next(iter(type(record).model_fields)), 1)


def test_every_setting_has_a_description() -> None:
    fields = {**Settings.model_fields, **Limits.model_fields, **VerdictPolicy.model_fields}
    assert [name for name, field in fields.items() if not field.description] == []


def test_digest_covers_what_can_change_a_record_and_nothing_else() -> None:
    base = Settings().digest()
    assert Settings(port=1, device="cpu", max_concurrent=5, data_dir=Path("x")).digest() == base
    assert Settings(limits=Limits(max_frames=3)).digest() != base
    assert Settings(policy=VerdictPolicy(prior_spoof=0.1)).digest() != base
