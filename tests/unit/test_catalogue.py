"""A catalogue's rows and the checkpoints that they pin: what is not proven, declared or safe stops the start."""

from __future__ import annotations

import json
import pickle
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
from tiny_checkpoints import ARCHITECTURES, REVISION, hashes_of, row_of, save_catalogue, save_checkpoint

from deepscreen.detectors.catalogue.rows import load_catalogue
from deepscreen.detectors.contract import Detector
from deepscreen.detectors.device import ComputePlan
from deepscreen.detectors.registry import build_plugins
from deepscreen.errors import ManifestInvalid, WeightsMismatch, WeightsMissing

PLAN = ComputePlan("cpu", "fp32", 1)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One checkpoint of each architecture; tests that change one copy it first."""
    root = tmp_path_factory.mktemp("checkpoints")
    return {name: save_checkpoint(root / name, name) for name in ARCHITECTURES}


@pytest.fixture
def copied(checkpoints: dict[str, Path], tmp_path: Path) -> Path:
    """A ViT checkpoint that may be spoilt."""
    return Path(shutil.copytree(checkpoints["vit"], tmp_path / "vit"))


def build(tmp_path: Path, *rows: dict[str, Any]) -> tuple[Detector, ...]:
    return build_plugins(load_catalogue(save_catalogue(tmp_path / "catalogue.toml", *rows)), PLAN)


def test_nothing_is_asked_of_a_network(
    checkpoints: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert len(build(tmp_path, *(row_of(folder, name) for name, folder in checkpoints.items()))) == len(ARCHITECTURES)


@pytest.mark.parametrize("file", ["config.json", "preprocessor_config.json", "model.safetensors"])
def test_changed_byte_stops_with_both_hashes_and_what_to_do(copied: Path, tmp_path: Path, file: str) -> None:
    row = row_of(copied, "vit")
    content = bytearray((copied / file).read_bytes())
    content[-2] ^= 1
    (copied / file).write_bytes(content)
    with pytest.raises(WeightsMismatch) as caught:
        build(tmp_path, row)
    for part in (str(copied / file), row["sha256"][file], hashes_of(copied)[file], f"restore revision {REVISION}"):
        assert part in str(caught.value)


def test_missing_weights_stop_with_what_to_do(copied: Path, tmp_path: Path) -> None:
    row = row_of(copied, "vit")
    (copied / "model.safetensors").rename(copied / "pytorch_model.bin")
    with pytest.raises(WeightsMissing, match=r"model\.safetensors: .*expected sha256 .*pickled weights are never read"):
        build(tmp_path, row)


def test_pickle_in_the_row_is_refused(copied: Path, tmp_path: Path) -> None:
    row = row_of(copied, "vit")
    row["sha256"]["pytorch_model.bin"] = "ab" * 32
    with pytest.raises(ManifestInvalid, match=r"pytorch_model\.bin: never read.*converted to safetensors"):
        build(tmp_path, row)


def test_pickle_under_another_name_is_never_unpickled(copied: Path, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
            return Path.touch, (tmp_path / "sprung",)

    (copied / "model.safetensors").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ManifestInvalid, match="no safetensors file"):
        build(tmp_path, row_of(copied, "vit"))
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("label", ["fake", "0", 2, "LABEL_0"])
def test_label_that_the_checkpoint_has_not_is_refused(copied: Path, tmp_path: Path, label: str | int) -> None:
    with pytest.raises(ManifestInvalid, match=r"names 0 of its labels; they are 0 = 'Fake', 1 = 'Real'"):
        build(tmp_path, row_of(copied, "vit", spoof_label=label))


def changed_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_label_that_two_indices_share_is_refused(copied: Path, tmp_path: Path) -> None:
    changed_json(copied / "config.json", id2label={"0": "Fake", "1": "Fake"})
    with pytest.raises(ManifestInvalid, match="names 2 of its labels"):
        build(tmp_path, row_of(copied, "vit"))


@pytest.mark.parametrize("labels", [{"0": "Fake"}, {"0": "Fake", "5": "Real"}])
def test_labels_that_make_no_choice_are_refused(copied: Path, tmp_path: Path, labels: dict[str, str]) -> None:
    changed_json(copied / "config.json", id2label=labels)
    with pytest.raises(ManifestInvalid, match="at least two are needed, numbered from 0"):
        build(tmp_path, row_of(copied, "vit"))


@pytest.mark.parametrize(
    ("architecture", "changes", "key"),
    [
        ("vit", {"size_px": 48}, "image_size"),
        ("vit", {"mean": [0.5, 0.5, 0.4]}, "image_mean"),
        ("vit", {"std": [1.0, 1.0, 1.0]}, "image_std"),
        ("vit", {"resampler": "bicubic"}, "resample"),
        ("vit", {"crop": "centre"}, "size"),
        ("siglip", {"size_px": 48}, "image_size"),
        ("siglip", {"resampler": "lanczos"}, "resample"),
        ("videomae", {"frames": 8}, "num_frames"),
        ("videomae", {"short_side_px": 48}, "size"),
        ("wav2vec2", {"normalise": False}, "do_normalize"),
        ("ast", {"mean": 0.0}, "mean"),
        ("ast", {"std": 1.0}, "std"),
        ("ast", {"window_seconds": 0.8}, "max_length"),
    ],
)
def test_preprocessing_that_is_not_the_checkpoints_is_refused(
    checkpoints: dict[str, Path], tmp_path: Path, architecture: str, changes: dict[str, Any], key: str
) -> None:
    row = row_of(checkpoints[architecture], architecture)
    row["preprocessing"] |= changes
    with pytest.raises(ManifestInvalid, match=rf"config\.json: {key} .*tiny_{architecture}"):
        build(tmp_path, row)


@pytest.mark.parametrize(
    "said",
    [{"size": 32}, {"rescale_factor": 0.003921569}, {"do_pad": None}, {"do_center_crop": None}],
)
def test_older_ways_to_say_the_same_are_understood(copied: Path, tmp_path: Path, said: dict[str, Any]) -> None:
    changed_json(copied / "preprocessor_config.json", **said)
    assert build(tmp_path, row_of(copied, "vit"))


def test_size_of_the_network_may_be_given_side_by_side(copied: Path, tmp_path: Path) -> None:
    changed_json(copied / "config.json", image_size=[32, 32])
    assert build(tmp_path, row_of(copied, "vit"))


@pytest.mark.parametrize("said", [{"do_resize": False}, {"rescale_factor": 1.0}, {"size": {"shortest_edge": 32}}])
def test_checkpoint_that_is_read_otherwise_is_refused(copied: Path, tmp_path: Path, said: dict[str, Any]) -> None:
    changed_json(copied / "preprocessor_config.json", **said)
    with pytest.raises(ManifestInvalid, match=rf"preprocessor_config\.json: {next(iter(said))} is"):
        build(tmp_path, row_of(copied, "vit"))


def test_preprocessor_without_a_hash_is_refused_and_without_a_file_is_fine(copied: Path, tmp_path: Path) -> None:
    row = row_of(copied, "vit")
    del row["sha256"]["preprocessor_config.json"]
    with pytest.raises(ManifestInvalid, match=r"preprocessor_config\.json: is there, but row 'tiny_vit' gives no"):
        build(tmp_path, row)
    (copied / "preprocessor_config.json").unlink()
    assert build(tmp_path, row)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"auto_map": {"AutoModel": "evil.Net"}}, "auto_map: code from a checkpoint"),
        ({"quantization_config": {"bits": 4}}, "quantization_config"),
        ({"inner": [{"auto_map": {}}]}, "auto_map"),
        ({"model_type": "swin"}, "model_type is 'swin'"),
        ({"hidden_size": "wide"}, "no configuration of ViTConfig"),
        ({"num_hidden_layers": 2}, "missing tensors for ViTForImageClassification"),
        ({"num_hidden_layers": 0}, "unexpected tensors"),
        ({"intermediate_size": 24}, "do not fit"),
    ],
)
def test_configuration_that_asks_for_something_else_is_refused(
    copied: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    changed_json(copied / "config.json", **changes)
    with pytest.raises(ManifestInvalid, match=message):
        build(tmp_path, row_of(copied, "vit"))


@pytest.mark.parametrize("content", [b"not JSON", b"[1]"])
def test_configuration_that_is_none_is_refused(copied: Path, tmp_path: Path, content: bytes) -> None:
    (copied / "config.json").write_bytes(content)
    with pytest.raises(ManifestInvalid, match=r"config\.json: (not JSON|want a JSON object)"):
        build(tmp_path, row_of(copied, "vit"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"revision": "main"}, r"plugin\.0\.vit\.revision"),
        ({"licence": ""}, "licence"),
        ({"modality": "audio"}, "modality"),
        ({"architecture": "swin"}, "architecture"),
        ({"name": "Image Clip"}, "name"),
        ({"spoof_label": True}, "spoof_label"),
        ({"spoof_label": -1}, "spoof_label"),
        ({"trust_remote_code": True}, "trust_remote_code"),
        ({"sha256": {"config.json": "ab" * 32}}, r"no hash for model\.safetensors"),
    ],
)
def test_row_that_breaks_a_rule_is_refused(
    checkpoints: dict[str, Path], tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ManifestInvalid, match=message):
        build(tmp_path, row_of(checkpoints["vit"], "vit") | changes)


def test_name_given_twice_is_refused(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    row = row_of(checkpoints["vit"], "vit")
    with pytest.raises(ManifestInvalid, match="given twice: tiny_vit"):
        build(tmp_path, row, row)


def test_catalogue_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match=r"gone\.toml: the catalogue cannot be read"):
        load_catalogue(tmp_path / "gone.toml")
    (tmp_path / "broken.toml").write_text("[[plugin")
    with pytest.raises(ManifestInvalid, match=r"broken\.toml: not TOML"):
        load_catalogue(tmp_path / "broken.toml")


def test_folder_is_taken_from_where_the_catalogue_lies(checkpoints: dict[str, Path]) -> None:
    root = checkpoints["vit"].parent
    assert build(root, row_of(checkpoints["vit"], "vit") | {"folder": "vit"})
