"""What the program and its decoder processes say to each other: one JSON message per packet, never pickle.

Program -> child: one ``Job``. Child -> program: ``Started`` (with a handle on the child); for a picture ``RoomWanted``,
before it is decoded; ``FactsFound``; when it was to inspect, any number of ``FindingMade``; of clips and sound any
number of ``PixelsOffered`` or ``SoundOffered``. Each wish or offer is answered with a buffer to write into, and
followed by ``Written``. At last ``Done`` or ``Failed``.
The child has parsed hostile bytes: whatever it says is checked here, strictly, before anything is done with it.
"""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from deepscreen.errors import (
    DecoderCrashed,
    EmptyMedia,
    EncryptedMember,
    MediaError,
    MediaTooLarge,
    UndecodableMedia,
    UnpackRefused,
    UnsafeMember,
    UnsupportedMedia,
)
from deepscreen.findings.finding import Finding
from deepscreen.media.containers.kinds import ContainerKind
from deepscreen.media.samples import MediaFacts
from deepscreen.settings import Limits

MAX_MESSAGE_BYTES = 128 * 1024  # a trust list has some 50 KiB
MAX_TEXT_CHARACTERS = 500
MAX_FINDINGS = 64
FAILURES: dict[str, type[MediaError]] = {
    kind.__name__: kind
    for kind in (
        EmptyMedia,
        UnsupportedMedia,
        MediaTooLarge,
        UndecodableMedia,
        DecoderCrashed,
        UnpackRefused,
        UnsafeMember,
        EncryptedMember,
    )
}
MAX_NAME_BYTES = 4096
MAX_FURTHER_FILES = 250  # descriptors that the kernel passes at once, less two
PIECE_BYTES = 1024 * 1024  # of a member's content, at once
WANTED, UNWANTED = b"w", b"s"  # the answers to MemberFound


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Job(_Message):
    """What a decoder process is to do with the file that it is handed."""

    operation: Literal["examine", "inspect", "frames", "sound", "unpack"]
    limits: Limits
    times_seconds: tuple[float, ...] = ()
    sample_rate_hz: int = Field(default=16_000, ge=1_000, le=384_000)
    block_seconds: float = Field(default=30.0, gt=0, le=600)
    container: ContainerKind | None = None  # for "unpack"
    max_members: int = Field(default=1_000_000, ge=1)  # for "unpack"
    further_files: int = Field(default=0, ge=0, le=MAX_FURTHER_FILES)  # for "unpack": segments of an image
    trust_anchors: str = ""  # PEM, for "inspect": the child sees no file but the one under examination


class Started(_Message):
    """The child runs; a pidfd of itself travels with this message."""

    kind: Literal["started"] = "started"


class FactsFound(_Message):
    """The result of probing."""

    kind: Literal["facts"] = "facts"
    facts: MediaFacts


class FindingMade(_Message):
    """One fact that looking the file over has shown."""

    kind: Literal["finding"] = "finding"
    finding: Finding


class RoomWanted(_Message):
    """The child will decode a picture of this size and asks for its buffer already: the two take place side by side."""

    kind: Literal["room"] = "room"
    pixels: int = Field(ge=1)

    @property
    def size_bytes(self) -> int:
        return self.pixels * 3


class PixelsOffered(_Message):
    """The child has a frame and asks for a buffer of ``height_px * width_px * 3`` bytes."""

    kind: Literal["pixels"] = "pixels"
    height_px: int = Field(ge=1)
    width_px: int = Field(ge=1)
    pts_seconds: float = Field(default=0.0, ge=0)

    @property
    def size_bytes(self) -> int:
        return self.height_px * self.width_px * 3


class SoundOffered(_Message):
    """The child has ``count`` float32 samples and asks for a buffer."""

    kind: Literal["sound"] = "sound"
    count: int = Field(ge=1)

    @property
    def size_bytes(self) -> int:
        return self.count * 4


class MemberFound(_Message):
    """A file within a container; ``problem`` names a class in ``FAILURES`` where its content cannot be had."""

    kind: Literal["member"] = "member"
    name_b64: str = Field(max_length=4 * (MAX_NAME_BYTES // 3 + 1))
    size_bytes: int | None = Field(ge=0)  # as the container claims
    problem: str | None = None
    text: str = Field(default="", max_length=MAX_TEXT_CHARACTERS)


class BytesOffered(_Message):
    """The child has ``count`` bytes of the member's content and asks for a buffer."""

    kind: Literal["bytes"] = "bytes"
    count: int = Field(ge=1, le=PIECE_BYTES)

    @property
    def size_bytes(self) -> int:
        return self.count


class MemberEnded(_Message):
    """All of the member's content was given; or, with a ``problem``, what was given is not the whole."""

    kind: Literal["member_ended"] = "member_ended"
    problem: str | None = None
    text: str = Field(default="", max_length=MAX_TEXT_CHARACTERS)


class Written(_Message):
    """The buffer holds what was offered."""

    kind: Literal["written"] = "written"


class Done(_Message):
    """Nothing more comes."""

    kind: Literal["done"] = "done"


class Failed(_Message):
    """The file could not be decoded; ``error`` names a class in ``FAILURES``."""

    kind: Literal["failed"] = "failed"
    error: str
    text: str = Field(max_length=MAX_TEXT_CHARACTERS)

    def as_error(self) -> MediaError:
        return error_named(self.error, self.text)


Offer = PixelsOffered | SoundOffered
Found = FactsFound | FindingMade | MemberFound | MemberEnded
Reply = Started | RoomWanted | Found | PixelsOffered | SoundOffered | BytesOffered | Written | Done | Failed
_REPLY: TypeAdapter[Reply] = TypeAdapter(Annotated[Reply, Field(discriminator="kind")])


def error_named(name: str, text: str) -> MediaError:
    """The error that a child named; a name that is none of ours is a crash."""
    return FAILURES.get(name, DecoderCrashed)(text)


def encode(message: BaseModel) -> bytes:
    """One packet; raises ValueError when it is longer than a packet may be."""
    packet = json.dumps(message.model_dump(mode="json"), allow_nan=False).encode("ascii")
    if len(packet) > MAX_MESSAGE_BYTES:
        raise ValueError(f"message of {len(packet)} bytes; at most {MAX_MESSAGE_BYTES} travel at once")
    return packet


def decode_job(packet: bytes) -> Job:
    """The job in *packet*, which comes from the program itself."""
    return Job.model_validate_json(packet)


def decode_reply(packet: bytes) -> Reply:
    """What the child says; raises DecoderCrashed when that is not a well-formed message."""
    try:
        return _REPLY.validate_json(packet)
    except ValidationError as error:
        raise DecoderCrashed("the decoder sent a malformed message and was stopped") from error
