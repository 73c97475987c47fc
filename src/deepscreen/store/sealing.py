"""Encryption at rest: a file sealed piece by piece with AES-256-GCM, so that large ones need little memory.

Layout: magic, 16 random bytes, then pieces of PIECE_BYTES of plaintext, each with its tag of 16 bytes. Each file has a
key of its own, derived by HKDF-SHA256 from the master key, the random bytes and the blob's name. A piece's nonce is its
number and whether it is the last: pieces can be neither reordered nor cut off. *Source:* the STREAM construction
(Hoang, Reyhanitabar, Rogaway, Vizár: Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance, 2015).
"""

from __future__ import annotations

import base64
import binascii
import io
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from deepscreen.errors import BlobDamaged, ConfigError

MAGIC = b"DSSEAL1\n"
SALT_BYTES, TAG_BYTES, KEY_BYTES = 16, 16, 32
PIECE_BYTES = 1024 * 1024
KEY_PATTERN = re.compile(r"[0-9a-f]{64}")


class Sealer:
    """Seals and opens files with one master key, which it never shows."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def from_file(cls, path: Path) -> Sealer:
        """The key in *path*: 64 hex digits, readable by nobody else; raises ConfigError."""
        try:
            others_may = path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
            text = path.read_text(encoding="ascii").strip().lower()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"blob_key_file {path} cannot be read; `openssl rand -hex 32` makes a key") from error
        if others_may:
            raise ConfigError(f"blob_key_file {path} is open to others; chmod 400 it")
        if not KEY_PATTERN.fullmatch(text):
            raise ConfigError(f"blob_key_file {path} holds no 64 hex digits; `openssl rand -hex 32` makes a key")
        return cls(bytes.fromhex(text))

    def seal(self, source: IO[bytes], target: IO[bytes], name: str) -> None:
        """Writes the sealed content of *source* to *target*."""
        salt = secrets.token_bytes(SALT_BYTES)
        cipher = self._cipher(salt, name)
        target.write(MAGIC + salt)
        for number, piece, is_last in _pieces(source, PIECE_BYTES):
            target.write(cipher.encrypt(_nonce(number, is_last=is_last), piece, None))

    def open(self, sealed: IO[bytes], name: str) -> IO[bytes]:
        """The content as a file to be read once from front to end; reading raises BlobDamaged where it was changed."""
        header = sealed.read(len(MAGIC) + SALT_BYTES)
        if len(header) != len(MAGIC) + SALT_BYTES or not header.startswith(MAGIC):
            raise BlobDamaged(f"blob {name} is not sealed as it should be")
        return io.BufferedReader(_Opened(sealed, self._cipher(header[len(MAGIC) :], name), name), PIECE_BYTES)

    def seal_text(self, text: str, name: str) -> str:
        """A short text sealed, as text again."""
        sealed = io.BytesIO()
        self.seal(io.BytesIO(text.encode()), sealed, name)
        return base64.b64encode(sealed.getvalue()).decode()

    def open_text(self, sealed: str, name: str) -> str:
        """The text that was sealed under *name*; raises BlobDamaged."""
        try:
            content = base64.b64decode(sealed, validate=True)
        except binascii.Error as error:
            raise BlobDamaged(f"{name} is not sealed as it should be") from error
        return self.open(io.BytesIO(content), name).read().decode()

    def _cipher(self, salt: bytes, name: str) -> AESGCM:
        return AESGCM(HKDF(SHA256(), KEY_BYTES, salt, b"deepscreen blob " + name.encode()).derive(self._key))


class _Opened(io.RawIOBase):
    """Opens one piece after the other as it is read."""

    def __init__(self, sealed: IO[bytes], cipher: AESGCM, name: str) -> None:
        self._pieces = _pieces(sealed, PIECE_BYTES + TAG_BYTES)
        self._cipher, self._name = cipher, name
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        while not self._left:
            found = next(self._pieces, None)
            if found is None:
                return 0
            number, piece, is_last = found
            try:
                self._left = self._cipher.decrypt(_nonce(number, is_last=is_last), piece, None)
            except InvalidTag as error:
                raise BlobDamaged(
                    f"blob {self._name} is not what was written, or was sealed with another key"
                ) from error
        count = min(len(buffer), len(self._left))
        buffer[:count], self._left = self._left[:count], self._left[count:]
        return count


def _nonce(number: int, *, is_last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([is_last])


def _pieces(source: IO[bytes], size: int) -> Iterator[tuple[int, bytes, bool]]:
    """Numbered pieces, the last one marked; an empty file is one empty piece."""
    number, piece = 0, _read_all(source, size)
    while True:
        following = _read_all(source, size)
        yield number, piece, not following
        if not following:
            return
        number, piece = number + 1, following


def _read_all(source: IO[bytes], size: int) -> bytes:
    """*size* bytes, fewer only at the end: a file of an object store may give less than it was asked for."""
    parts, left = [], size
    while left and (part := source.read(left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
