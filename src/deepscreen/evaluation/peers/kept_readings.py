"""Readings of peers on disk, by the sha256 of the picture: a peer that takes its time is asked once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple
from pathlib import Path

from deepscreen.errors import ConfigError
from deepscreen.evaluation.peers.contract import Peer, PeerReading
from deepscreen.training.labelled import LabelledFile

Readings = Mapping[str, PeerReading]


def kept_readings(
    peer: Peer, files: Sequence[LabelledFile], folder: Path, on_file: Callable[[], None]
) -> Iterator[Readings]:
    """What *peer* says of each file in turn, from *folder* where it said so before.

    Raises ConfigError where what is kept cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ("+".join(f"{card.name}-{card.version}" for card in peer.cards) + ".jsonl")
    known = _read(path)
    digests = [_digest(file) for file in files]
    new = {digest: file for digest, file in zip(digests, files, strict=True) if digest not in known}
    with path.open("a", encoding="utf-8") as stream:
        for digest, readings in zip(new, peer.read(list(new.values())), strict=True):
            known[digest] = readings
            said = {name: astuple(reading) for name, reading in readings.items()}
            stream.write(json.dumps({"sha256": digest, "readings": said}) + "\n")
            stream.flush()
            on_file()
    return (known[digest] for digest in digests)


def drawn_by_hash(files: Sequence[LabelledFile], most: int) -> frozenset[str]:
    """Keys of at most *most* files, those with the lowest sha256 of their bytes: a draw that nobody chose."""
    return frozenset(file.key for file in sorted(files, key=_digest)[:most])


def _digest(file: LabelledFile) -> str:
    return hashlib.sha256(file.path.read_bytes()).hexdigest()


def _read(path: Path) -> dict[str, Readings]:
    """What is kept; a last line that an interruption cut off is dropped from the file."""
    if not path.is_file():
        return {}
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole, encoding="utf-8")
    try:
        lines = [json.loads(line) for line in whole.splitlines()]
        return {one["sha256"]: {name: PeerReading(*said) for name, said in one["readings"].items()} for one in lines}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path}: holds no readings of peers ({error!r}); delete it") from error
