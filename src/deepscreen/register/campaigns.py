"""Campaigns: entries whose files are copies of one another, by their hashes or, re-encoded, by their fingerprints.

The same distances as in a scan. A campaign is known by the id of its oldest entry, so it keeps its name as it grows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from deepscreen.fingerprints import nearness
from deepscreen.fingerprints.copies import groups_of
from deepscreen.fingerprints.grouping import Chains
from deepscreen.record import ModalityName


@dataclass(frozen=True, slots=True)
class Member:
    """What is compared of an entry."""

    id: str
    kind: ModalityName
    media_sha256: str
    fingerprint: bytes | None


def campaigns_of(members: Sequence[Member]) -> dict[str, str]:
    """By id of each entry that has a copy: the id of its campaign. *members*: the oldest first.

    All different fingerprints are compared with all of their kind, which takes time by the square of their number;
    identical ones are compared once.
    """
    chains = Chains(len(members))
    for same in _by_hash(members):
        _join(chains, same)
    for kind in sorted({member.kind for member in members}):
        places = [n for n, member in enumerate(members) if member.kind == kind and member.fingerprint]
        for group in groups_of(kind, [members[n].fingerprint or b"" for n in places]):
            _join(chains, [places[n] for n in group])
    return {members[n].id: members[group[0]].id for group in chains.groups() for n in group}


def near(newest: Member, others: Sequence[Member]) -> list[Member]:
    """Those of *others* that are copies of *newest*, directly."""
    compared = [m for m in others if m.kind == newest.kind and m.fingerprint]
    places = nearness.near(newest.kind, newest.fingerprint or b"", [m.fingerprint or b"" for m in compared])
    found = {compared[place].id for place in places}
    return [m for m in others if m.id in found or m.media_sha256 == newest.media_sha256]


def _by_hash(members: Sequence[Member]) -> Iterable[list[int]]:
    found: dict[str, list[int]] = {}
    for number, member in enumerate(members):
        found.setdefault(member.media_sha256, []).append(number)
    return found.values()


def _join(chains: Chains, numbers: Sequence[int]) -> None:
    for number in numbers[1:]:
        chains.join(numbers[0], number)
