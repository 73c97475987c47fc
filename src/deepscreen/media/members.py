"""The files within a container, as a decoder process gives them; nothing of a container is parsed in the program."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass

from deepscreen.errors import DecoderCrashed, MediaError
from deepscreen.media.conversation import Child, not_asked_for
from deepscreen.media.wire import BytesOffered, MemberFound, error_named


@dataclass(frozen=True, slots=True)
class Member:
    """A file within a container. ``size_bytes``: as the container claims; ``problem``: why its content is not to be
    had, else None."""

    name: bytes
    size_bytes: int | None
    problem: MediaError | None


class Members:
    """Iterates over a container once. The content of a member is read, if it is, before the next one is asked for."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self._is_unanswered = False

    def __iter__(self) -> Iterator[Member]:
        while True:
            if self._is_unanswered:
                self._answer(is_wanted=False)
            found = self._child.next_member()
            if found is None:
                return
            self._is_unanswered = found.problem is None
            yield _member(found)

    def content(self) -> Iterator[bytes]:
        """The content of the present member, piece by piece.

        Raises MediaError at its end where it is not whole, or when the container breaks off.
        """
        self._answer(is_wanted=True)
        while isinstance(reply := self._child.next_piece(), BytesOffered):
            yield self._child.receive(reply).tobytes()
        if reply.problem is not None:
            raise error_named(reply.problem, reply.text)

    def _answer(self, *, is_wanted: bool) -> None:
        if not self._is_unanswered:
            raise not_asked_for()
        self._is_unanswered = False
        self._child.want(is_wanted)


def _member(found: MemberFound) -> Member:
    try:
        name = base64.b64decode(found.name_b64, validate=True)
    except binascii.Error as error:
        raise DecoderCrashed("the decoder sent a malformed message and was stopped") from error
    problem = None if found.problem is None else error_named(found.problem, found.text)
    return Member(name, found.size_bytes, problem)
