"""Containers are told by their first bytes, and taken apart in a decoder process; hostile ones are typed errors."""

from __future__ import annotations

import gzip
import io
import lzma
import random
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from container_factory import (
    save_7z,
    save_docx,
    save_ewf,
    save_ext4,
    save_mail,
    save_partitioned,
    save_pdf,
    save_tar,
    save_zip,
)
from deepscreen.errors import EncryptedMember, MediaError, UndecodableMedia, UnpackRefused, UnsafeMember
from deepscreen.media.containers.kinds import HEAD_BYTES, container_kind
from deepscreen.media.intake import take_in
from deepscreen.media.sandbox import Decoder
from deepscreen.settings import Limits
from disk_images.make_images import CONTENTS as IMAGE_CONTENTS
from disk_images.make_images import FOLDER as DISK_IMAGES
from disk_images.make_images import IMAGES
from media_factory import picture, save_clip, save_picture, save_sound, tone

LIMITS = Limits()
CONTENTS = {"a/one.jpg": b"first " * 500_000, "two.txt": b"second", "empty": b""}


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder(LIMITS) as decoder:
        yield decoder


def unpacked(decoder: Decoder, path: Path, further: tuple[Path, ...] = ()) -> dict[bytes, bytes | MediaError]:
    """Content or error by name; raises what is wrong with the whole."""
    kind = container_kind(path.read_bytes()[:HEAD_BYTES])
    assert kind is not None
    found: dict[bytes, bytes | MediaError] = {}
    with decoder.members(take_in(path, limits=LIMITS), kind, further=further, max_members=50) as members:
        for member in members:
            try:
                found[member.name] = member.problem or b"".join(members.content())
            except MediaError as error:
                found[member.name] = error
    return found


def named(contents: dict[str, bytes], prefix: str = "") -> dict[bytes, bytes]:
    return {(prefix + name).encode(): content for name, content in contents.items()}


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tar.bz2", "tar.xz", "7z"])
def test_archive_gives_what_was_put_in(decoder: Decoder, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "archive"
    match kind:
        case "zip":
            save_zip(path, CONTENTS)
        case "7z":
            save_7z(path, CONTENTS)
        case _:
            save_tar(path, CONTENTS, kind.removeprefix("tar").removeprefix("."))
    assert unpacked(decoder, path) == named(CONTENTS)


def test_compressed_file_gives_the_one_file_in_it(decoder: Decoder, tmp_path: Path) -> None:
    (tmp_path / "a.jpg.gz").write_bytes(gzip.compress(b"picture" * 1000))
    assert unpacked(decoder, tmp_path / "a.jpg.gz") == {b"content": b"picture" * 1000}


def test_message_gives_its_attachments(decoder: Decoder, tmp_path: Path) -> None:
    path = save_mail(tmp_path / "m.eml", {"one.jpg": b"\0\1\2" * 1000, "../two.jpg": b"x"})
    assert unpacked(decoder, path) == {b"part 2/one.jpg": b"\0\1\2" * 1000, b"part 3/.._two.jpg": b"x"}


def test_office_document_gives_its_media_and_not_its_parts(decoder: Decoder, tmp_path: Path) -> None:
    hidden = {"image1.jpeg": b"picture", "hidden.xml": b"\xff\xd8\xff a picture by its content"}
    path = save_docx(tmp_path / "d.docx", hidden)
    assert unpacked(decoder, path) == named(hidden, "word/media/")


def test_pdf_gives_its_pictures_as_they_lie_in_it(decoder: Decoder, tmp_path: Path) -> None:
    jpeg = save_picture(tmp_path / "p.jpg", "JPEG", picture(96, 64)).read_bytes()
    path = save_pdf(tmp_path / "d.pdf", jpeg, 96, 64)
    assert unpacked(decoder, path) == {b"page 1/image 1.jpg": jpeg}


FILES = {"DCIM/one.jpg": b"first " * 300_000, "two.txt": b"second"}


def test_raw_image_gives_its_files(decoder: Decoder, tmp_path: Path) -> None:
    path = save_ext4(tmp_path / "disk.dd", FILES, tmp_path)
    assert unpacked(decoder, path) == named(FILES)


EXFAT_TABLES = {b"$ALLOC_BITMAP", b"$UPCASE_TABLE"}  # anyone may name a file like this: they are looked at too


@pytest.mark.parametrize("name", IMAGES)
def test_file_systems_of_cards_and_windows_give_their_files(decoder: Decoder, tmp_path: Path, name: str) -> None:
    """Neither what was deleted, nor the label of the volume, nor the file system's own tables."""
    path = tmp_path / "disk.dd"
    path.write_bytes(lzma.decompress((DISK_IMAGES / f"{name}.dd.xz").read_bytes()))
    found = unpacked(decoder, path)
    if name == "exfat":
        assert found.keys() >= EXFAT_TABLES
        found = {name: content for name, content in found.items() if name not in EXFAT_TABLES}
    assert found == named(IMAGE_CONTENTS)


def test_partitioned_disk_gives_the_files_of_each_partition(decoder: Decoder, tmp_path: Path) -> None:
    volume = save_ext4(tmp_path / "volume", FILES, tmp_path).read_bytes()
    path = save_partitioned(tmp_path / "disk.dd", volume)
    assert unpacked(decoder, path) == named(FILES, "partition 1/") | named(FILES, "partition 2/")


def test_expert_witness_image_in_two_segments_gives_its_files(decoder: Decoder, tmp_path: Path) -> None:
    volume = save_ext4(tmp_path / "volume", FILES, tmp_path).read_bytes()
    path = save_ewf(tmp_path / "disk.E01", volume)
    assert unpacked(decoder, path, (tmp_path / "disk.E02",)) == named(FILES)


def test_expert_witness_image_without_its_second_segment_is_not_read_as_whole(decoder: Decoder, tmp_path: Path) -> None:
    volume = save_ext4(tmp_path / "volume", FILES, tmp_path).read_bytes()
    path = save_ewf(tmp_path / "disk.E01", volume)
    try:
        found = unpacked(decoder, path)
    except MediaError:
        return
    assert found != named(FILES)


@pytest.mark.parametrize("name", ["../out.jpg", "/etc/passwd", "a/../../b", "..\\b.jpg", "C:\\b.jpg"])
def test_names_that_climb_out_are_told(decoder: Decoder, tmp_path: Path, name: str) -> None:
    for path in (save_zip(tmp_path / "a.zip", {name: b"x"}), save_tar(tmp_path / "a.tar", {name: b"x"})):
        (problem,) = unpacked(decoder, path).values()
        assert isinstance(problem, UnsafeMember)


def test_links_are_told_and_not_followed(decoder: Decoder, tmp_path: Path) -> None:
    path = save_tar(tmp_path / "a.tar", {"a": b"x"}, links={"b": "/etc/passwd"})
    found = unpacked(decoder, path)
    assert found[b"a"] == b"x"
    assert isinstance(found[b"b"], UnsafeMember)


def test_encrypted_members_are_told(decoder: Decoder, tmp_path: Path) -> None:
    (problem,) = unpacked(decoder, save_7z(tmp_path / "a.7z", {"a": b"x"}, password="secret")).values()
    assert isinstance(problem, EncryptedMember)
    encrypted = bytearray(save_zip(tmp_path / "a.zip", {"a": b"x"}).read_bytes())
    encrypted[encrypted.index(b"PK\x01\x02") + 8] |= 1
    encrypted[6] |= 1
    (tmp_path / "a.zip").write_bytes(encrypted)
    (problem,) = unpacked(decoder, tmp_path / "a.zip").values()
    assert isinstance(problem, EncryptedMember)


def test_broken_member_does_not_take_the_others_with_it(decoder: Decoder, tmp_path: Path) -> None:
    content = bytearray(save_zip(tmp_path / "a.zip", {"a": bytes(range(256)) * 9, "b": b"whole"}).read_bytes())
    content[60] ^= 0xFF
    (tmp_path / "a.zip").write_bytes(content)
    found = unpacked(decoder, tmp_path / "a.zip")
    assert isinstance(found[b"a"], UndecodableMedia)
    assert found[b"b"] == b"whole"


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "7z", "pdf", "dd"])
def test_container_that_breaks_off_is_a_typed_error(decoder: Decoder, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "half"
    noise = {"a": random.Random(0).randbytes(60_000)}
    match kind:
        case "zip":
            save_zip(path, noise)
        case "tar.gz":
            save_tar(path, noise, "gz")
        case "7z":
            save_7z(path, noise)
        case "pdf":
            save_pdf(path, noise["a"], 96, 64)
        case _:
            save_ext4(path, noise, tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // (64 if kind == "dd" else 2)])
    if kind == "dd":  # its table is there, the files are not
        found = unpacked(decoder, path)
        assert all(isinstance(content, MediaError) for content in found.values())
    else:
        with pytest.raises(UndecodableMedia):
            unpacked(decoder, path)


def test_more_members_than_allowed_are_refused(decoder: Decoder, tmp_path: Path) -> None:
    path = save_zip(tmp_path / "a.zip", {str(k): b"" for k in range(51)})
    with pytest.raises(UnpackRefused, match="51 members; at most 50"):
        unpacked(decoder, path)


def test_content_that_is_not_wanted_is_passed_over(decoder: Decoder, tmp_path: Path) -> None:
    for path in (save_zip(tmp_path / "a.zip", CONTENTS), save_7z(tmp_path / "a.7z", CONTENTS)):
        kind = container_kind(path.read_bytes()[:HEAD_BYTES])
        assert kind is not None
        with decoder.members(take_in(path, limits=LIMITS), kind) as members:
            found = {member.name: b"".join(members.content()) for member in members if member.name == b"two.txt"}
        assert found == {b"two.txt": b"second"}


def test_media_are_no_containers(tmp_path: Path) -> None:
    save_picture(tmp_path / "a.jpg", "JPEG")
    save_picture(tmp_path / "a.png", "PNG")
    save_clip(tmp_path / "a.mp4", sound=True)
    save_sound(tmp_path / "a.wav", tone(0.2, 16_000), 16_000)
    (tmp_path / "a.txt").write_text("From: here\nto there\n")
    assert [container_kind(path.read_bytes()[:HEAD_BYTES]) for path in tmp_path.iterdir()] == [None] * 5


def test_archive_within_an_archive_is_a_member_like_any_other(decoder: Decoder, tmp_path: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("a", b"x")
    path = save_zip(tmp_path / "a.zip", {"inner.zip": inner.getvalue()})
    assert unpacked(decoder, path) == {b"inner.zip": inner.getvalue()}
