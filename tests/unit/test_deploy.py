"""What lies in deploy/ is well-formed, closed by default, and says what the program really has."""

from __future__ import annotations

import configparser
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from deepscreen.cli import app
from deepscreen.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
SETTINGS = {f"DEEPSCREEN_{name.upper()}" for name in Settings.model_fields}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    return loaded


@pytest.fixture(scope="module")
def manifests() -> dict[tuple[str, str], dict[str, Any]]:
    """All Kubernetes objects by kind and name."""
    files = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    found = [entry for path in files for entry in yaml.safe_load_all(path.read_text(encoding="utf-8"))]
    return {(entry["kind"], entry["metadata"]["name"]): entry for entry in found}


def command(words: list[str]) -> set[str]:
    """The options of a command; fails where there is no such command."""
    found = get_command(app).commands[words[0]]  # type: ignore[attr-defined]
    return {option for parameter in found.params for option in (*parameter.opts, *parameter.secondary_opts)}


def assert_command_exists(words: list[str]) -> None:
    assert {word for word in words[1:] if word.startswith("--")} <= command(words)


def test_compose_has_no_default_secret_and_no_open_port(compose: dict[str, Any]) -> None:
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    assert re.findall(r"\$\{(\w*(?:PASSWORD|SECRET)\w*):?-[^}]", text) == [], "a secret with a default"
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert ports == ["127.0.0.1:8321:8321"]
    assert "DEEPSCREEN_ALLOW_UNAUTHENTICATED_NETWORK" not in text


@pytest.mark.parametrize("service", ["deepscreen", "worker"])
def test_compose_runs_what_there_is_without_privileges(compose: dict[str, Any], service: str) -> None:
    settings = compose["services"][service]
    assert_command_exists(settings["command"])
    assert (settings["read_only"], settings["cap_drop"]) == (True, ["ALL"])
    assert {name for name in settings["environment"] if name.startswith("DEEPSCREEN_")} <= SETTINGS
    named = {volume.partition(":")[0] for volume in settings["volumes"] if not volume.startswith("/")}
    assert named <= set(compose["volumes"])


def test_compose_workers_share_database_and_blobs_with_the_service(compose: dict[str, Any]) -> None:
    service, worker = (compose["services"][name] for name in ("deepscreen", "worker"))
    for name in ("DEEPSCREEN_DATABASE_URL", "DEEPSCREEN_BLOB_URL"):
        assert service["environment"][name] == worker["environment"][name]
    assert service["environment"]["DEEPSCREEN_BEHIND_TLS"] == "${DEEPSCREEN_BEHIND_TLS:-true}"
    assert "blobs:/blobs" in service["volumes"]
    assert "blobs:/blobs" in worker["volumes"]


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_units_run_what_there_is_shut_in(path: Path) -> None:
    unit = configparser.RawConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(path, encoding="utf-8")
    program, *words = unit["Service"]["ExecStart"].split()
    assert program.endswith("/bin/deepscreen")
    assert_command_exists(words)
    for name, value in {
        "NoNewPrivileges": "yes", "ProtectSystem": "strict", "ProtectHome": "yes", "CapabilityBoundingSet": "",
        "User": "deepscreen", "UMask": "0077",
    }.items():  # fmt: skip
        assert unit["Service"][name] == value


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not there")
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    for path in (DEPLOY / "systemd").iterdir():
        text = path.read_text(encoding="utf-8").replace("/opt/deepscreen/venv/bin/deepscreen", "/bin/true")
        name = path.name.replace("@", "@cpu")
        (tmp_path / name).write_text(text)
    units = [str(path) for path in sorted(tmp_path.iterdir())]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, timeout=120, check=False
    )
    ours = [line for line in done.stderr.splitlines() if "deepscreen" in line and "doesn't exist" not in line]
    assert ours == []


def test_pods_have_no_privileges_and_no_secret_is_written_down(
    manifests: dict[tuple[str, str], dict[str, Any]],
) -> None:
    assert not any(kind == "Secret" for kind, _ in manifests)
    for name in ("api", "worker"):
        pod = manifests["Deployment", name]["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert_command_exists(container["args"])
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}
    settings = manifests["ConfigMap", "deepscreen"]["data"]
    assert set(settings) <= SETTINGS
    assert settings["DEEPSCREEN_BEHIND_TLS"] == "true", "the cookies of sessions are for TLS only"


def test_service_and_autoscaler_point_at_what_there_is(manifests: dict[tuple[str, str], dict[str, Any]]) -> None:
    selector = manifests["Service", "deepscreen"]["spec"]["selector"]
    assert selector == manifests["Deployment", "api"]["spec"]["template"]["metadata"]["labels"]
    scaled = manifests["ScaledObject", "worker"]["spec"]
    assert ("Deployment", scaled["scaleTargetRef"]["name"]) in manifests
    assert scaled["minReplicaCount"] >= 1, "new work is queued by the method of a worker"
    assert "replicas" not in manifests["Deployment", "worker"]["spec"]
    secret = manifests["TriggerAuthentication", "deepscreen-database"]["spec"]["secretTargetRef"][0]
    assert secret["key"] in SETTINGS


def test_air_gap_bundle_has_a_bill_of_materials_and_proves_itself(tmp_path: Path) -> None:
    script = ROOT / "scripts/air_gap.sh"
    environment = {**os.environ, "PYTHON": sys.executable}
    subprocess.run([script, tmp_path / "bundle", "sbom"], env=environment, check=True, capture_output=True, timeout=280)
    bill = json.loads((tmp_path / "bundle/sbom.cdx.json").read_text(encoding="utf-8"))
    versions = {component["name"].lower(): component.get("version") for component in bill["components"]}
    assert bill["bomFormat"] == "CycloneDX"
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith(("torch==", "cryptography==", "av==")):
            name, _, version = line.partition("==")
            assert versions[name].split("+")[0] == version
    prove = ["sha256sum", "--quiet", "--check", "SHA256SUMS"]
    assert subprocess.run(prove, cwd=tmp_path / "bundle", check=False, timeout=60).returncode == 0
    (tmp_path / "bundle/wheels").mkdir()
    (tmp_path / "bundle/wheels/deepscreen-99-py3-none-any.whl").touch()
    install = ["bash", "install.sh", str(tmp_path / "venv")]
    slipped_in = subprocess.run(
        install, cwd=tmp_path / "bundle", capture_output=True, text=True, timeout=60, check=False
    )
    assert (slipped_in.returncode, "deepscreen-99" in slipped_in.stderr) == (1, True)
    shutil.rmtree(tmp_path / "bundle/wheels")
    (tmp_path / "bundle/sbom.cdx.json").write_text("{}")
    forged = subprocess.run(
        ["bash", "install.sh", str(tmp_path / "venv")],
        cwd=tmp_path / "bundle",
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert forged.returncode != 0
    assert not (tmp_path / "venv").exists(), "nothing is installed from a bundle that was changed"
