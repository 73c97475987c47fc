"""Where those who take a container apart put what they find. Runs in the decoder process."""

from __future__ import annotations

from typing import BinaryIO, Protocol

from deepscreen.errors import MediaError, UndecodableMedia, UnsafeMember
from deepscreen.media.wire import MAX_NAME_BYTES, PIECE_BYTES


class Sink(Protocol):
    """Takes members one after the other: ``begin``, where wanted any number of ``write``, then ``end``."""

    def begin(self, name: bytes, size_bytes: int | None, problem: MediaError | None = None) -> bool:
        """Tells of a member; True: its content is wanted. With a *problem* it never is."""
        ...

    def write(self, content: bytes) -> None:
        """More of the member's content."""
        ...

    def end(self, problem: MediaError | None = None) -> None:
        """The member is whole; or, with a *problem*, it is not."""
        ...


def name_problem(name: bytes) -> MediaError | None:
    """Why a member of this name is none that an honest program writes; None where nothing is wrong.

    Names are never used as paths here. That one climbs out is a fact about the container that a reader must see.
    """
    parts = name.replace(b"\\", b"/").split(b"/")
    if not name or b"\0" in name or len(name) > MAX_NAME_BYTES:
        return UnsafeMember("a name that is empty, too long or holds a NUL byte")
    if b".." in parts:
        return UnsafeMember("the name climbs out of the container")
    if name.startswith((b"/", b"\\")) or name[1:3] in (b":/", b":\\"):
        return UnsafeMember("the name is that of a place outside of the container")
    return None


def copy_member(stream: BinaryIO, sink: Sink) -> bool:
    """All of *stream* as the content of the member that has begun, and its end; False where it is broken."""
    try:
        while piece := stream.read(PIECE_BYTES):
            sink.write(piece)
    except (BrokenPipeError, ConnectionError, MemoryError):
        raise
    except Exception as error:  # each library has its own kinds for broken content
        sink.end(UndecodableMedia(f"the content is broken: {type(error).__name__}: {error}"))
        return False
    sink.end()
    return True
