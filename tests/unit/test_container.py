"""The container files, parsed: what they promise about users, ports, capabilities, weights and health."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from dockerfile_parse import DockerfileParser

from deepscreen.settings import Settings, load_settings

ROOT = Path(__file__).resolve().parents[2]
Steps = list[dict[str, Any]]


@pytest.fixture(scope="module")
def steps() -> Steps:
    """The Dockerfile's instructions in order."""
    with (ROOT / "Dockerfile").open("rb") as file:
        return [step for step in DockerfileParser(fileobj=file).structure if step["instruction"] != "COMMENT"]


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """compose.yaml with its anchors resolved."""
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    return loaded


def values(steps: Steps, instruction: str) -> list[str]:
    return [step["value"] for step in steps if step["instruction"] == instruction]


def last_stage(steps: Steps) -> Steps:
    starts = [index for index, step in enumerate(steps) if step["instruction"] == "FROM"]
    return steps[starts[-1] :]


def test_dockerfile_ends_as_unprivileged_user(steps: Steps) -> None:
    users = values(last_stage(steps), "USER")
    assert users[-1] == "10001:10001"
    assert last_stage(steps)[-1]["instruction"] in {"CMD", "ENTRYPOINT"}


def test_base_image_is_a_pinned_cuda_runtime(steps: Steps) -> None:
    (default,) = [value.partition("=")[2] for value in values(steps, "ARG") if value.startswith("CUDA_IMAGE=")]
    assert re.fullmatch(r"nvidia/cuda:\d+\.\d+\.\d+-(base|runtime)-ubuntu24\.04", default)
    assert all(value.startswith("${CUDA_IMAGE} AS ") for value in values(steps, "FROM"))
    assert "latest" not in (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_weights_are_pulled_at_build_and_found_at_run(steps: Steps) -> None:
    (pull,) = [value for value in values(steps, "RUN") if "weights pull" in value]
    (folder,) = re.findall(r"DEEPSCREEN_WEIGHTS_CACHE=(\S+)", pull)
    assert f"DEEPSCREEN_WEIGHTS_CACHE={folder}" in values(last_stage(steps), "ENV")[0]
    assert any(
        value.startswith("--from=build ") and folder.startswith(value.split()[2]) for value in values(steps, "COPY")
    )


def test_every_install_is_held_to_the_constraints(steps: Steps) -> None:
    installs = [value for value in values(steps, "RUN") if "pip install" in value]
    assert installs
    assert all("-c constraints.txt" in value for value in installs)


def test_health_check_asks_livez_on_the_default_port(steps: Steps) -> None:
    (check,) = values(steps, "HEALTHCHECK")
    assert f"http://127.0.0.1:{Settings.model_fields['port'].default}/livez" in check
    command = json.loads(check[check.index("CMD") + 3 :])
    assert command[0].startswith("/opt/deepscreen/")


def test_image_alone_stays_on_loopback(steps: Steps) -> None:
    environment = " ".join(values(steps, "ENV"))
    assert "DEEPSCREEN_HOST" not in environment
    assert "ALLOW_UNAUTHENTICATED" not in environment


def test_dockerfile_copies_only_what_the_build_context_lets_in(steps: Steps) -> None:
    allowed = {
        line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[:1] == "!"
    }
    copied = {word for value in values(steps, "COPY") if "--from" not in value for word in value.split()[:-1]}
    assert copied == allowed
    assert all((ROOT / name).exists() for name in copied)


@pytest.mark.parametrize("service", ["deepscreen", "deepscreen-cpu"])
def test_compose_service_is_hardened(compose: dict[str, Any], service: str) -> None:
    settings = compose["services"][service]
    assert settings["read_only"] is True
    assert settings["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in settings["security_opt"]
    assert any(entry.startswith("/tmp") for entry in settings["tmpfs"])
    assert any(volume.endswith(":/data") for volume in settings["volumes"])
    assert "/livez" in settings["healthcheck"]["test"][-1]
    assert not settings.get("privileged", False)


@pytest.mark.parametrize("service", ["deepscreen", "deepscreen-cpu"])
def test_compose_publishes_on_the_hosts_loopback_only(compose: dict[str, Any], service: str) -> None:
    port = Settings.model_fields["port"].default
    assert compose["services"][service]["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert "network_mode" not in compose["services"][service]


def test_compose_reserves_a_gpu(compose: dict[str, Any]) -> None:
    (device,) = compose["services"]["deepscreen"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["driver"] == "nvidia"
    assert device["capabilities"] == ["gpu"]
    assert "deploy" not in compose["services"]["deepscreen-cpu"]


def test_container_environment_is_accepted_by_the_settings(
    compose: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in compose["services"]["deepscreen"]["environment"].items():
        monkeypatch.setenv(name, str(value))
    settings = load_settings()
    assert settings.host == "0.0.0.0"
    assert settings.allow_unauthenticated_network is True
