"""Makes the disk images beside it: FAT12, FAT16, FAT32, exFAT and NTFS, each with the same two files and a deleted one.

Needs Linux, root (NTFS is mounted for a moment), dosfstools, mtools, exfatprogs and ntfs-3g. The images are committed,
compressed: who runs the tests needs none of these. Usage: python tests/disk_images/make_images.py
"""

from __future__ import annotations

import lzma
import random
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

FOLDER = Path(__file__).resolve().parent
CONTENTS = {"DCIM/straße 1.jpg": random.Random(7).randbytes(9000), "two.txt": b"second"}
DELETED, DELETED_CONTENT = "gone.jpg", b"deleted" * 300
KIB, MIB = 1024, 1024 * 1024
# Tables of NTFS and exFAT count up in steps of two bytes.
FILTERS = [{"id": lzma.FILTER_DELTA, "dist": 2}, {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME}]
EXFAT_CLUSTER_BYTES = 4096
EXFAT_TIME = ((2020 - 1980) << 9 | 1 << 5 | 1) << 16  # 1 January 2020


def run(*command: str | Path) -> None:
    subprocess.run([str(word) for word in command], check=True, capture_output=True)


def make_fat(bits: int, size_bytes: int) -> Callable[[Path], None]:
    def make(image: Path) -> None:
        image.write_bytes(bytes(size_bytes))
        run("/sbin/mkfs.vfat", "-F", str(bits), "-s", "1", "-n", "CARD", "-i", "DEE95C4E", image)
        run("mmd", "-i", image, "::DCIM")
        for name, content in {**CONTENTS, DELETED: DELETED_CONTENT}.items():
            source = image.with_name("file")
            source.write_bytes(content)
            run("mcopy", "-i", image, source, f"::{name}")
        run("mdel", "-i", image, f"::{DELETED}")

    return make


def make_ntfs(image: Path) -> None:
    image.write_bytes(bytes(2 * MIB))
    run("/sbin/mkntfs", "-F", "-q", "-c", "4096", "-s", "512", "-p", "0", "-H", "16", "-S", "63", "-L", "CARD", image)
    mounted = image.with_name("mounted")
    mounted.mkdir()
    run("mount", "-t", "ntfs-3g", "-o", "loop", image, mounted)
    try:
        (mounted / "DCIM").mkdir()
        for name, content in {**CONTENTS, DELETED: DELETED_CONTENT}.items():
            (mounted / name).write_bytes(content)
        (mounted / DELETED).unlink()
    finally:
        run("umount", mounted)


def make_exfat(image: Path) -> None:
    """No tool writes files into exFAT without mounting it, and few kernels mount it: entries are put in by hand."""
    image.write_bytes(bytes(4 * MIB))
    run("/sbin/mkfs.exfat", "-c", str(EXFAT_CLUSTER_BYTES), "-b", "4K", "-L", "CARD", image)
    disk = bytearray(image.read_bytes())
    sector_bytes = 1 << disk[108]
    heap = struct.unpack_from("<I", disk, 88)[0] * sector_bytes
    root = struct.unpack_from("<I", disk, 96)[0]

    def at(cluster: int) -> int:
        return heap + (cluster - 2) * EXFAT_CLUSTER_BYTES

    def put(content: bytes) -> int:
        clusters = -(-len(content) // EXFAT_CLUSTER_BYTES)
        first, put.free = put.free, put.free + clusters  # type: ignore[attr-defined]
        disk[at(first) : at(first) + len(content)] = content
        bitmap = at(2)
        for cluster in range(first, first + clusters):
            disk[bitmap + (cluster - 2) // 8] |= 1 << (cluster - 2) % 8
        return first

    put.free = root + 1  # type: ignore[attr-defined]

    def entries(name: str, content: bytes, *, is_folder: bool = False) -> bytes:
        first, size_bytes = put(content), len(content)
        attributes = 0x10 if is_folder else 0x20
        shown = name.encode("utf-16-le")
        file = bytearray(struct.pack("<BBHHHIII", 0x85, 2, 0, attributes, 0, *[EXFAT_TIME] * 3).ljust(32, b"\0"))
        stream = struct.pack("<BBBBHHQIIQ", 0xC0, 3, 0, len(name), _hash(name), 0, size_bytes, 0, first, size_bytes)
        whole = file + stream + struct.pack("<BB", 0xC1, 0) + shown.ljust(30, b"\0")
        checksum = 0
        for place, byte in enumerate(whole):
            if place not in (2, 3):
                checksum = ((checksum << 15 | checksum >> 1) + byte) & 0xFFFF
        struct.pack_into("<H", whole, 2, checksum)
        return bytes(whole)

    (inner, picture), (outer, text) = CONTENTS.items()
    folder, _, name = inner.partition("/")
    below = entries(name, picture).ljust(EXFAT_CLUSTER_BYTES, b"\0")
    deleted = bytearray(entries(DELETED, DELETED_CONTENT))
    for place in range(0, len(deleted), 32):
        deleted[place] &= 0x7F
    added = entries(folder, below, is_folder=True) + entries(outer, text) + bytes(deleted)
    used = next(n for n in range(0, EXFAT_CLUSTER_BYTES, 32) if disk[at(root) + n] == 0)
    disk[at(root) + used : at(root) + used + len(added)] = added
    image.write_bytes(disk)


def _hash(name: str) -> int:
    found = 0
    for byte in name.upper().replace("SS", "ß").encode("utf-16-le"):
        found = ((found << 15 | found >> 1) + byte) & 0xFFFF
    return found


IMAGES: dict[str, Callable[[Path], None]] = {
    "fat12": make_fat(12, 720 * KIB),
    "fat16": make_fat(16, 5 * MIB),
    "fat32": make_fat(32, 34 * MIB),
    "exfat": make_exfat,
    "ntfs": make_ntfs,
}

if __name__ == "__main__":
    for name, make in IMAGES.items():
        with TemporaryDirectory() as work:
            image = Path(work) / "image"
            make(image)
            (FOLDER / f"{name}.dd.xz").write_bytes(lzma.compress(image.read_bytes(), filters=FILTERS))
            if name == "exfat":
                run("/sbin/fsck.exfat", "-n", image)
