"""Proves a Deepscreen case bundle. Stands alone: needs Python 3.11 and the package ``cryptography``, nothing else.

    python verify.py case.zip [--public-key HEX]

Checks the container byte for byte, the signature of the manifest, the hash of every file, the evidence pictures that
the records name, and the audit log: its chain, its signed checkpoints, and that it names each record. Of time stamps it
checks that they are those that the log names, and about its checkpoints; who gave them is for ``openssl ts -verify``.
Says what does not hold and ends with 1; ends with 0 when all holds. Without --public-key anyone could have signed:
compare the key that is printed with the one that the laboratory gives out. A copy of this file lies in every bundle;
use one that you trust.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import struct
import sys
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

MANIFEST, SIGNATURE = "manifest.json", "signature.json"
ENTRIES, CHECKPOINTS = "audit/entries.jsonl", "audit/checkpoints.jsonl"
STAMPS = "audit/stamps/"  # N.json: checkpoint N, N.tsr: the answer of a time-stamping authority (RFC 3161)
COMPUTATION_ENDED, STAMPED = "computation-ended", "checkpoint-timestamped"
FIRST_PREVIOUS = "0" * 64
IMPRINTS = ("sha512", "sha384", "sha256")
SIGNED_PREFIX = b"deepscreen bundle manifest "
LOCAL, CENTRAL, END = struct.Struct("<4sHHHHHIIIHH"), struct.Struct("<4sHHHHHHIIIHHHHHII"), struct.Struct("<4sHHHHIIH")
VERSION, UTF8_NAMES, DATE = 20, 0x800, 0x21  # ZIP 2.0; the date is 1 January 1980, so that bundles do not differ by it
MAX_BYTES, MAX_FILES = 2**32 - 1, 2**16 - 1
PLAIN_NAME = re.compile(r"(?!/)(?!.*\.\.)[A-Za-z0-9._/-]{1,200}")
Files = dict[str, bytes]


class NotABundle(Exception):
    """The file is so broken that its parts cannot be told apart."""


def container(files: Mapping[str, bytes]) -> bytes:
    """A ZIP file of *files* in their order, stored, without anything that varies: one content, one sequence of bytes.

    Raises ValueError for names that are not plain, for more than 4 GiB and for more than 65,535 files.
    """
    if len(files) > MAX_FILES:
        raise ValueError("a bundle holds at most 65,535 files")
    body, directory = bytearray(), bytearray()
    for name, content in files.items():
        if not PLAIN_NAME.fullmatch(name):
            raise ValueError(f"not a plain name: {name!r}")
        encoded, size, offset = name.encode("ascii"), len(content), len(body)
        if offset + size > MAX_BYTES:
            raise ValueError("a bundle holds at most 4 GiB")
        checked = (UTF8_NAMES, 0, 0, DATE, zlib.crc32(content), size, size, len(encoded))
        body += LOCAL.pack(b"PK\x03\x04", VERSION, *checked, 0) + encoded + content
        directory += CENTRAL.pack(b"PK\x01\x02", VERSION, VERSION, *checked, 0, 0, 0, 0, 0, offset) + encoded
    end = END.pack(b"PK\x05\x06", 0, 0, len(files), len(files), len(directory), len(body), 0)
    return bytes(body + directory + end)


def read_container(content: bytes) -> tuple[Files, list[str]]:
    """The files, read one behind the other, and what is wrong with the container; raises NotABundle."""
    files: Files = {}
    at = 0
    while content[at : at + 4] == b"PK\x03\x04":
        if at + LOCAL.size > len(content):
            raise NotABundle("the container ends early")
        *_, size, name_bytes, extra_bytes = LOCAL.unpack_from(content, at)
        start = at + LOCAL.size + name_bytes + extra_bytes
        name = content[at + LOCAL.size : at + LOCAL.size + name_bytes].decode("latin-1")
        if start + size > len(content) or name in files:
            raise NotABundle(f"the container is broken at byte {at}, in the head of {name[:80]!r}")
        files[name] = content[start : start + size]
        at = start + size
    if MANIFEST not in files or SIGNATURE not in files:
        raise NotABundle(f"the container is broken at byte {at}: no {MANIFEST} or {SIGNATURE}")
    try:
        expected = container(files)
    except ValueError as error:
        return files, [f"container: {error}"]
    if expected == content:
        return files, []
    where = next(
        (k for k, pair in enumerate(zip(expected, content, strict=False)) if pair[0] != pair[1]), len(expected)
    )
    return files, [f"container: byte {where} is not as it was written (near {_member_at(files, where)})"]


def _member_at(files: Files, where: int) -> str:
    at = 0
    for name, content in files.items():
        at += LOCAL.size + len(name) + len(content)
        if where < at:
            return name
    return "the directory"


def flaws_of(files: Files, public_key: str | None = None) -> Iterator[str]:
    """What does not hold in the files of a bundle; nothing where all holds."""
    yield from _check_signature(files, public_key)
    try:
        manifest: dict[str, Any] = json.loads(files[MANIFEST])
        listed: dict[str, dict[str, Any]] = manifest["files"]
        items: list[dict[str, str]] = manifest["items"]
    except (ValueError, KeyError, TypeError):
        yield f"{MANIFEST}: cannot be read"
        return
    yield from _check_files(files, listed)
    entries = list(_entries(files))
    yield from _check_chain(entries)
    yield from _check_checkpoints(files, entries)
    yield from _check_stamps(files, entries)
    ended = {
        entry.get("details", {}).get("record_sha256") for _, entry in entries if entry.get("act") == COMPUTATION_ENDED
    }
    for item in items:
        yield from _check_item(files, item, ended)


def _check_signature(files: Files, public_key: str | None) -> Iterator[str]:
    try:
        signature = json.loads(files[SIGNATURE])
        key, digest = str(signature["public_key"]), str(signature["manifest_sha256"])
        signed = SIGNED_PREFIX + digest.encode("ascii")
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(bytes.fromhex(signature["signature"]), signed)
    except (InvalidSignature, ValueError, KeyError, TypeError):
        yield f"{SIGNATURE}: the signature is wrong"
        return
    canonical = {"manifest_sha256": digest, "public_key": key, "signature": signature["signature"]}
    if files[SIGNATURE] != json.dumps(canonical, separators=(",", ":"), sort_keys=True).encode():
        yield f"{SIGNATURE}: not as it was written"
    if hashlib.sha256(files[MANIFEST]).hexdigest() != digest:
        yield f"{MANIFEST}: not what was signed"
    if public_key is not None and key != public_key.lower():
        yield f"{SIGNATURE}: signed with key {key[:16]}, not with {public_key[:16]}"


def _check_files(files: Files, listed: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for name in sorted(listed.keys() - files.keys()):
        yield f"{name}: missing"
    for name in sorted(files.keys() - listed.keys() - {MANIFEST, SIGNATURE}):
        yield f"{name}: not in the manifest"
    for name in sorted(files.keys() & listed.keys()):
        if hashlib.sha256(files[name]).hexdigest() != listed[name].get("sha256"):
            yield f"{name}: changed, its sha256 differs"


def _entries(files: Files) -> Iterator[tuple[str, dict[str, Any]]]:
    """(sha256, content) of each audit entry; what is no JSON has no content."""
    for line in files.get(ENTRIES, b"").splitlines():
        try:
            content = json.loads(line)
        except ValueError:
            content = {}
        yield hashlib.sha256(line).hexdigest(), content if isinstance(content, dict) else {}


def _check_chain(entries: list[tuple[str, dict[str, Any]]]) -> Iterator[str]:
    previous = FIRST_PREVIOUS
    for number, (digest, entry) in enumerate(entries, start=1):
        if entry.get("seq") != number:
            yield f"{ENTRIES}: entry {number} is missing, moved or broken"
        if entry.get("previous_sha256") != previous:
            yield f"{ENTRIES}: entry {number} does not follow the one before it"
        previous = digest


def _check_checkpoints(files: Files, entries: list[tuple[str, dict[str, Any]]]) -> Iterator[str]:
    last = 0
    for line in files.get(CHECKPOINTS, b"").splitlines():
        try:
            checkpoint = json.loads(line)
            body = str(checkpoint["body"]).encode()
            key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(checkpoint["public_key"]))
            key.verify(bytes.fromhex(checkpoint["signature"]), body)
            said = json.loads(body)
            last, digest = int(said["seq"]), said["sha256"]
        except (InvalidSignature, ValueError, KeyError, TypeError):
            yield f"{CHECKPOINTS}: a signature is wrong"
            continue
        if not 1 <= last <= len(entries) or entries[last - 1][0] != digest:
            yield f"{CHECKPOINTS}: checkpoint {last} signs another entry than the one that is there"
    if last != len(entries):
        yield f"{CHECKPOINTS}: the last {len(entries) - last} entries of the log are not signed"


def _check_stamps(files: Files, entries: list[tuple[str, dict[str, Any]]]) -> Iterator[str]:
    """Each answer is the one that the log names, and holds a hash of the signed checkpoint beside it."""
    named = {
        (str(entry.get("details", {}).get("checkpoint")), entry.get("subject"))
        for _, entry in entries
        if entry.get("act") == STAMPED
    }
    signed = [json.loads(line).get("body", "") for line in files.get(CHECKPOINTS, b"").splitlines() if _is_json(line)]
    for name in sorted(name for name in files if name.startswith(STAMPS)):
        stem, _, kind = name.removeprefix(STAMPS).partition(".")
        body, answer = files.get(f"{STAMPS}{stem}.json", b""), files.get(f"{STAMPS}{stem}.tsr", b"")
        if kind == "json" and body.decode(errors="replace") not in signed:
            yield f"{name}: no checkpoint of this log"
        if kind == "tsr" and (stem, hashlib.sha256(answer).hexdigest()) not in named:
            yield f"{name}: the audit log does not name this time stamp"
        if kind == "tsr" and not any(hashlib.new(way, body).digest() in answer for way in IMPRINTS):
            yield f"{name}: is not about {STAMPS}{stem}.json"


def _is_json(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _check_item(files: Files, item: Mapping[str, str], ended: set[Any]) -> Iterator[str]:
    """A record is about the file that the manifest says, its pictures are there, and the log names it."""
    name = item.get("record", "")
    try:
        record = json.loads(files[name])
        pictures = [picture for result in record["modalities"].values() for picture in result["evidence"]]
        media_sha256 = record["media"]["sha256"]
        named = [(str(picture["name"]), picture["sha256"]) for picture in pictures]
    except (ValueError, KeyError, TypeError, AttributeError):
        yield f"{name}: no readable record"
        return
    if media_sha256 != item.get("media_sha256"):
        yield f"{name}: is about another file than the manifest says"
    folder = name.rpartition("/")[0]
    for picture, picture_sha256 in named:
        path = f"{folder}/{picture}"
        if path not in files or hashlib.sha256(files[path]).hexdigest() != picture_sha256:
            yield f"{path}: not the picture that the record names"
    record_sha256 = hashlib.sha256(files[name]).hexdigest()
    if record_sha256 != item.get("record_sha256"):
        yield f"{name}: not the record that the manifest says"
    if record_sha256 not in ended:
        yield f"{name}: the audit log does not name this record"


def verify(content: bytes, public_key: str | None = None) -> list[str]:
    """All flaws of a bundle, by the bytes of its file."""
    try:
        files, flaws = read_container(content)
    except NotABundle as error:
        return [f"container: {error}"]
    return flaws + list(flaws_of(files, public_key))


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Proves a Deepscreen case bundle.")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--public-key", help="Ed25519 key (hex) that must have signed")
    given = parser.parse_args()
    content = given.bundle.read_bytes()
    flaws = verify(content, given.public_key)
    for flaw in flaws:
        sys.stdout.write(f"{flaw}\n")
    if flaws:
        sys.stdout.write(f"{len(flaws)} flaws: this bundle is not what was exported.\n")
        return 1
    files, _ = read_container(content)
    if stamps := sum(name.startswith(STAMPS) and name.endswith(".tsr") for name in files):
        sys.stdout.write(f"{stamps} time stamps: prove who gave them with openssl, see README.txt.\n")
    sys.stdout.write(f"All holds: {len(files)} files, signed with key {json.loads(files[SIGNATURE])['public_key']}.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
