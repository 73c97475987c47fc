"""The manifest: what is accepted, what is refused, and the refresh of shipped rows."""

from __future__ import annotations

from pathlib import Path

import pytest
from weights_fakes import make_wheel, manifest_text, sha256

from deepscreen.errors import ManifestInvalid, WeightsMissing
from deepscreen.weights.convert import RECIPES
from deepscreen.weights.manifest import load_manifest, parse_manifest, refresh_shipped
from deepscreen.weights.store import shipped_dir

HEAD_ROWS = """
[[weights]]  # fitted here
name = "image-head"
kind = "head"
file = "heads/image.safetensors"
sha256 = "{zeros}"
bytes = 1
licence = "Apache-2.0"
origin = "deepscreen fit image"
trained_on = "see docs/detectors/image.md"
used_by = ["image"]
"""


def test_installed_manifest_names_sources_recipes_and_licences() -> None:
    manifest = load_manifest(shipped_dir() / "manifest.toml")
    assert {"clip-vit-b16", "whisper-base-encoder", "yunet", "silero-vad"} <= {row.name for row in manifest.pulled}
    for row in manifest.pulled:
        assert row.licence_file is not None
        assert "MIT License" in (shipped_dir() / row.licence_file).read_text()
        assert all(source.recipe in RECIPES for source in row.source)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"sha256": '"abc"'}, "sha256"),
        ({"bytes": "0"}, "bytes"),
        ({"kind": '"model"'}, "kind"),
        ({"file": '"../tiny.bin"'}, "no plain relative path"),
        ({"file": '"/etc/tiny.bin"'}, "no plain relative path"),
        ({"file": '"deep/tiny.bin"'}, "must lie directly in ./"),
        ({"licence_file": '"../../x"'}, "no plain relative path"),
        ({"used_by": "[]"}, "used_by"),
        ({"colour": '"red"'}, "colour"),
        ({"kind": '"head"', "file": '"heads/tiny.bin"'}, "must have no [[weights.source]]"),
        ({"licence": "[oops"}, "not TOML"),
    ],
)
def test_manifest_is_refused_when_a_row_breaks_a_rule(tmp_path: Path, changes: dict[str, str], expected: str) -> None:
    text = manifest_text(make_wheel(tmp_path), **changes)
    with pytest.raises(ManifestInvalid) as caught:
        parse_manifest(text.encode(), "some/manifest.toml")
    assert expected in str(caught.value)
    assert "some/manifest.toml" in str(caught.value)


def test_manifest_is_refused_when_a_name_stands_twice(tmp_path: Path) -> None:
    text = manifest_text(make_wheel(tmp_path))
    with pytest.raises(ManifestInvalid, match="given twice: tiny"):
        parse_manifest((text + text.removeprefix("schema_version = 1")).encode(), "m")


def test_unknown_row_error_names_the_known_ones(tmp_path: Path) -> None:
    manifest = parse_manifest(manifest_text(make_wheel(tmp_path)).encode(), "m")
    with pytest.raises(ManifestInvalid, match="'huge'; the manifest has: tiny"):
        manifest.row("huge")


def test_absent_manifest_is_reported_as_missing(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match="manifest"):
        load_manifest(tmp_path / "manifest.toml")


def test_refresh_rewrites_only_shipped_rows(tmp_path: Path) -> None:
    pulled = manifest_text(make_wheel(tmp_path))
    head = HEAD_ROWS.format(zeros="0" * 64)
    path = tmp_path / "manifest.toml"
    path.write_text(pulled + head)
    (tmp_path / "heads").mkdir()
    (tmp_path / "heads" / "image.safetensors").write_bytes(b"head")

    assert refresh_shipped(path) == ("image-head",)
    expected = head.replace("0" * 64, sha256(b"head")).replace("bytes = 1", "bytes = 4")
    assert path.read_text() == pulled + expected
    assert refresh_shipped(path) == ()


def test_refresh_fails_when_a_shipped_file_is_absent(tmp_path: Path) -> None:
    path = tmp_path / "manifest.toml"
    path.write_text("schema_version = 1\n" + HEAD_ROWS.format(zeros="0" * 64))
    with pytest.raises(WeightsMissing, match=r"heads/image\.safetensors"):
        refresh_shipped(path)
