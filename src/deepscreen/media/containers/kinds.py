"""Say by its first bytes whether a file holds files. Only compares bytes: the program itself may do that."""

from __future__ import annotations

import re
import struct
from typing import Literal

HEAD_BYTES = 36 * 1024  # the signature of a CD lies 32 KiB in
ContainerKind = Literal["zip", "tar", "gzip", "bzip2", "xz", "7z", "pdf", "mail", "disk", "ewf"]
STARTS: tuple[tuple[bytes, ContainerKind], ...] = (
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),  # an empty one
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"EVF\x09\x0d\x0a\xff\x00", "ewf"),
)
PDF_START_WITHIN = 1024  # bytes that may stand before %PDF-
TAR_MAGIC_AT, EXT_MAGIC_AT, HFS_MAGIC_AT, CD_MAGIC_AT, GPT_MAGIC_AT = 257, 1080, 1024, 32769, 512
BOOT_MAGIC_AT, PARTITIONS_AT, PARTITION_BYTES = 510, 446, 16
BOOT_NAMES = ((3, b"NTFS    "), (3, b"EXFAT   "), (54, b"FAT"), (82, b"FAT"))
FIELD = re.compile(rb"[A-Za-z][A-Za-z0-9-]{0,60}:[ \t]")
MAIL_FIELDS = (b"from", b"date", b"message-id", b"received", b"mime-version", b"subject", b"return-path", b"to")


def container_kind(head: bytes) -> ContainerKind | None:
    """What kind of container a file is that begins with *head* (``HEAD_BYTES`` of it, or all); None where it is none.

    Weak signatures (disks, mail) are for files that are no image, video or audio: those win.
    """
    for start, kind in STARTS:
        if head.startswith(start):
            return kind
    if b"%PDF-" in head[:PDF_START_WITHIN]:
        return "pdf"
    if head[TAR_MAGIC_AT : TAR_MAGIC_AT + 5] == b"ustar":
        return "tar"
    if _is_disk(head):
        return "disk"
    return "mail" if _is_mail(head) else None


def ewf_segment(head: bytes) -> int:
    """The number of a segment of an Expert Witness image; the first is 1."""
    return int.from_bytes(head[9:11], "little")


def _is_disk(head: bytes) -> bool:
    if head[EXT_MAGIC_AT : EXT_MAGIC_AT + 2] == b"\x53\xef" or head[GPT_MAGIC_AT : GPT_MAGIC_AT + 8] == b"EFI PART":
        return True
    if head[CD_MAGIC_AT : CD_MAGIC_AT + 5] == b"CD001" or head[HFS_MAGIC_AT : HFS_MAGIC_AT + 2] in (b"H+", b"HX"):
        return True
    if head[BOOT_MAGIC_AT : BOOT_MAGIC_AT + 2] != b"\x55\xaa":
        return False
    return any(head[at : at + len(name)] == name for at, name in BOOT_NAMES) or _has_partitions(head)


def _has_partitions(head: bytes) -> bool:
    """A master boot record: at least one entry in use, and none that no program would write."""
    used = 0
    for at in range(PARTITIONS_AT, BOOT_MAGIC_AT, PARTITION_BYTES):
        entry = head[at : at + PARTITION_BYTES]
        first, sectors = struct.unpack_from("<II", entry, 8)
        if entry[0] not in (0, 0x80):
            return False
        used += bool(entry[4] and first and sectors)
    return used > 0


def _is_mail(head: bytes) -> bool:
    """Header fields from the first line on, at least three of them such as every message has."""
    head = head.removeprefix(b"\xef\xbb\xbf")
    first = head[: head.find(b"\n") + 1 or None].rstrip(b"\r\n")
    if not first.startswith(b"From ") and not _may_be_header(first):
        return False  # nearly all files end here: the rest of the head need not be looked at
    lines = head.replace(b"\r\n", b"\n").split(b"\n")
    if first.startswith(b"From "):  # as mail boxes put before each message
        lines = lines[1:]
    names = set()
    for line in lines:
        if not line:
            break
        if line[:1] in (b" ", b"\t"):
            continue
        if not _may_be_header(line):
            return False
        names.add(line.partition(b":")[0].lower())
    return len(names.intersection(MAIL_FIELDS)) >= 3


def _may_be_header(line: bytes) -> bool:
    return line[:1] in (b" ", b"\t") or FIELD.match(line) is not None or line.endswith(b":")
