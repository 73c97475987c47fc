"""Bundles: there and back, and everything that must be refused before it is installed."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from weights_fakes import CONTENT, make_store, make_wheel, manifest_text

from deepscreen.errors import WeightsMismatch, WeightsMissing, WeightsUnavailable
from deepscreen.weights.bundle import import_bundle, write_bundle
from deepscreen.weights.store import WeightsStore

WEIGHTS = "weights/tiny.bin"


@pytest.fixture
def store(tmp_path: Path) -> WeightsStore:
    store = make_store(tmp_path, manifest_text(make_wheel(tmp_path)))
    store.cache_dir.mkdir()
    (store.cache_dir / "tiny.bin").write_bytes(CONTENT)
    return store


@pytest.fixture
def other(store: WeightsStore, tmp_path: Path) -> WeightsStore:
    """The same installation on a machine with an empty cache."""
    return replace(store, cache_dir=tmp_path / "other-cache")


def never_waits() -> None:
    pytest.fail("nobody else holds this cache")


def member(name: str, content: bytes = b"x", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in fields.items():
        setattr(info, key, value)
    return info, content


def sound_members(store: WeightsStore) -> dict[str, tuple[tarfile.TarInfo, bytes]]:
    manifest = (store.shipped_dir / "manifest.toml").read_bytes()
    contents = {"manifest.toml": manifest, "licences/tiny.txt": b"MIT", WEIGHTS: CONTENT}
    return {name: member(name, content) for name, content in contents.items()}


def write_tar(path: Path, members: list[tuple[tarfile.TarInfo, bytes]]) -> Path:
    with tarfile.open(path, "w:") as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return path


def test_bundle_makes_the_same_weights_on_another_machine(
    store: WeightsStore, other: WeightsStore, tmp_path: Path
) -> None:
    write_bundle(store, tmp_path / "b.tar")
    assert [row.name for row in import_bundle(other, tmp_path / "b.tar", never_waits)] == ["tiny"]
    assert other.locate("tiny").read_bytes() == CONTENT
    with tarfile.open(tmp_path / "b.tar") as tar:
        assert tar.getnames() == ["manifest.toml", "licences/tiny.txt", WEIGHTS]


def test_bundle_bytes_do_not_depend_on_file_times(store: WeightsStore, tmp_path: Path) -> None:
    write_bundle(store, tmp_path / "1.tar")
    os.utime(store.cache_dir / "tiny.bin", (1, 1))
    write_bundle(store, tmp_path / "2.tar")
    assert (tmp_path / "1.tar").read_bytes() == (tmp_path / "2.tar").read_bytes()


def test_bundle_is_not_written_when_weights_are_missing(other: WeightsStore, tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing):
        write_bundle(other, tmp_path / "b.tar")
    assert list(tmp_path.glob("*b.tar*")) == []


def test_import_is_refused_when_a_byte_is_changed(store: WeightsStore, other: WeightsStore, tmp_path: Path) -> None:
    write_bundle(store, tmp_path / "b.tar")
    content = (tmp_path / "b.tar").read_bytes()
    (tmp_path / "b.tar").write_bytes(content.replace(b"tiny weights", b"TINY weights", 1))
    with pytest.raises(WeightsMismatch, match=WEIGHTS):
        import_bundle(other, tmp_path / "b.tar", never_waits)
    assert list(other.cache_dir.glob("[!.]*")) == []


@pytest.mark.parametrize("kept", [0, 1, 511, 1000, 3000, 10_000, 15_000])
def test_import_is_refused_when_the_tar_is_cut_short(
    store: WeightsStore, other: WeightsStore, tmp_path: Path, kept: int
) -> None:
    write_bundle(store, tmp_path / "b.tar")
    (tmp_path / "b.tar").write_bytes((tmp_path / "b.tar").read_bytes()[:kept])
    with pytest.raises(WeightsUnavailable, match=r"b\.tar"):
        import_bundle(other, tmp_path / "b.tar", never_waits)
    assert list(other.cache_dir.glob("[!.]*")) == []


HOSTILE: dict[str, Callable[[], tuple[tarfile.TarInfo, bytes]]] = {
    "traversal": lambda: member("../../evil.bin"),
    "absolute": lambda: member("/tmp/evil.bin"),
    "unknown": lambda: member("weights/evil.bin"),
    "double": lambda: member("manifest.toml"),
    "folder": lambda: member("weights", b"", type=tarfile.DIRTYPE),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_import_is_refused_when_a_member_does_not_belong(
    store: WeightsStore, other: WeightsStore, tmp_path: Path, kind: str
) -> None:
    bundle = write_tar(tmp_path / "b.tar", [*sound_members(store).values(), HOSTILE[kind]()])
    with pytest.raises(WeightsUnavailable, match="double or does not belong"):
        import_bundle(other, bundle, never_waits)
    assert list(other.cache_dir.glob("[!.]*")) == []
    assert not (tmp_path / "evil.bin").exists()


@pytest.mark.parametrize("link_type", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_import_is_refused_when_a_member_is_no_plain_file(
    store: WeightsStore, other: WeightsStore, tmp_path: Path, link_type: bytes
) -> None:
    members = sound_members(store) | {WEIGHTS: member(WEIGHTS, b"", type=link_type, linkname="/etc/passwd")}
    with pytest.raises(WeightsUnavailable, match="no plain file"):
        import_bundle(other, write_tar(tmp_path / "b.tar", list(members.values())), never_waits)


def test_import_is_refused_when_a_member_is_too_large(store: WeightsStore, other: WeightsStore, tmp_path: Path) -> None:
    members = sound_members(store) | {WEIGHTS: member(WEIGHTS, CONTENT + b"x")}
    with pytest.raises(WeightsUnavailable, match=f"claims {len(CONTENT) + 1} bytes"):
        import_bundle(other, write_tar(tmp_path / "b.tar", list(members.values())), never_waits)


def test_import_is_refused_when_the_file_is_no_tar(other: WeightsStore, tmp_path: Path) -> None:
    (tmp_path / "b.tar").write_bytes(os.urandom(5000))
    with pytest.raises(WeightsUnavailable, match="not a readable weights bundle"):
        import_bundle(other, tmp_path / "b.tar", never_waits)


def test_import_is_refused_when_a_member_is_absent(store: WeightsStore, other: WeightsStore, tmp_path: Path) -> None:
    members = sound_members(store)
    del members[WEIGHTS]
    with pytest.raises(WeightsUnavailable, match=f"absent: {WEIGHTS}"):
        import_bundle(other, write_tar(tmp_path / "b.tar", list(members.values())), never_waits)
