"""An entry of the misuse register: a suspected tool, how it was used, in which case, and the file's fingerprint.

Never media, never a file's name, never personal data. A machine cannot know all that is personal; what looks like an
address, a telephone number, an account number or packed content is refused, and the rest is the examiner's duty.
"""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from deepscreen.fingerprints.kinds import CLIP, FRAMES, HASH_BYTES, PICTURE
from deepscreen.fingerprints.sound import LONGEST_SECONDS, SAMPLE_RATE_HZ, STEP_SAMPLES
from deepscreen.record import ModalityName

MAX_TOOL, MAX_MODUS_OPERANDI, MAX_CASE_REFERENCE = 100, 2000, 100
WORD_BYTES = 8
MAX_SOUND_BYTES = WORD_BYTES * int(LONGEST_SECONDS * SAMPLE_RATE_HZ / STEP_SAMPLES)
EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UUID4 = r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"
PRINTABLE, ONE_LINE = r"^[^\x00-\x09\x0b-\x1f\x7f]*$", r"^[^\x00-\x1f\x7f\u2028\u2029]*$"
PERSONAL = {
    "an e-mail address": re.compile(r"[^\s@]@[\w-]+\.\w"),
    "the name of an account (@...)": re.compile(r"(?<!\S)@\w{2,}"),
    "a telephone number": re.compile(
        r"(?<!\w)(?!\d{1,2}[./-]\d{1,2}[./-]\d{2,4}\b)(?:\+|00|0)[1-9](?:[ ()./-]{0,2}\d){7,}"  # but no date
    ),
    "an account number (IBAN)": re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}"),
    "packed content": re.compile(r"(?i)\bdata:[\w/+.-]*[;,]|[A-Za-z0-9+/=_-]{100,}"),
}


class Tlp(StrEnum):
    """How far an entry may go: the Traffic Light Protocol 2.0 (FIRST, 2022), from everybody to named people."""

    CLEAR = "clear"
    GREEN = "green"
    AMBER = "amber"
    AMBER_STRICT = "amber+strict"
    RED = "red"

    def reaches(self, audience: Tlp) -> bool:
        """Whether what is marked so may go to an *audience* that may see what is marked as that says."""
        order = list(Tlp)
        return order.index(self) <= order.index(audience)


class ToolKind(StrEnum):
    """What the suspected tool does."""

    IMAGE_GENERATOR = "image_generator"
    VIDEO_GENERATOR = "video_generator"
    FACE_SWAP = "face_swap"
    LIP_SYNC = "lip_sync"
    VOICE_CLONE = "voice_clone"
    UNDRESSING = "undressing"
    EDITOR = "editor"
    UNKNOWN = "unknown"


class Misuse(StrEnum):
    """What it was used for."""

    FRAUD = "fraud"
    EXTORTION = "extortion"
    IMPERSONATION = "impersonation"
    SEXUAL_ABUSE = "sexual_abuse"
    DISINFORMATION = "disinformation"
    HARASSMENT = "harassment"
    IDENTITY_DOCUMENT = "identity_document"
    FALSE_EVIDENCE = "false_evidence"
    OTHER = "other"
    UNKNOWN = "unknown"


class Status(StrEnum):
    """How sure the laboratory is that this tool was misused so."""

    SUSPECTED = "suspected"
    CONFIRMED = "confirmed"
    DISMISSED = "dismissed"


def without_personal_data(text: str) -> str:
    """*text*; raises ValueError where it holds what looks like personal data or packed content."""
    for name, pattern in PERSONAL.items():
        if pattern.search(text):
            raise ValueError(f"holds what looks like {name}; the register keeps neither personal data nor media")
    return text


def to_milliseconds(at: datetime) -> datetime:
    """*at* in UTC to the millisecond, which every form of exchange carries; raises ValueError beyond 2000 to 2200."""
    if not EARLIEST <= at <= LATEST:
        raise ValueError("want a time between the years 2000 and 2200")
    return EPOCH + timedelta(milliseconds=round((at - EPOCH) / timedelta(milliseconds=1)))


Moment = Annotated[AwareDatetime, AfterValidator(to_milliseconds)]
Line = Annotated[str, StringConstraints(pattern=ONE_LINE, strip_whitespace=True), AfterValidator(without_personal_data)]
FreeText = Annotated[
    str, StringConstraints(pattern=PRINTABLE, strip_whitespace=True), AfterValidator(without_personal_data)
]


class Statement(BaseModel):
    """What an examiner states."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tool: Line = Field(min_length=1, max_length=MAX_TOOL, description="Suspected tool or generator; `unknown` if so.")
    tool_kind: ToolKind = ToolKind.UNKNOWN
    misuse: Misuse = Misuse.UNKNOWN
    modus_operandi: FreeText = Field(
        "", max_length=MAX_MODUS_OPERANDI, description="How it was used. No names, no addresses, no personal data."
    )
    case_reference: Line = Field("", max_length=MAX_CASE_REFERENCE, description="Reference of the case.")
    status: Status = Status.SUSPECTED
    tlp: Tlp = Field(description="How far the entry may go (Traffic Light Protocol 2.0).")


class Entry(Statement):
    """An entry as it is kept and exchanged: one revision of it, with what its file is known by."""

    id: str = Field(pattern=UUID4)
    revision: int = Field(ge=1, le=1_000_000)
    created_at: Moment = Field(description="When the first revision was made.")
    revised_at: Moment = Field(description="When this revision was made.")
    kind: ModalityName
    media_sha256: str = Field(pattern="^[0-9a-f]{64}$", description="Of the file, which itself is not kept here.")
    fingerprint: str | None = Field(
        None,
        max_length=4 * MAX_SOUND_BYTES // 3 + 4,
        description="Base64. PDQ hash of a picture, PDQ hashes of frames of a clip, or words of a sound; null: none.",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.revised_at < self.created_at:
            raise ValueError("revised before it was created")
        check_fingerprint(self.kind, self.fingerprint_bytes())
        return self

    def fingerprint_bytes(self) -> bytes | None:
        """The fingerprint as it is compared; raises ValueError where it is not Base64."""
        if self.fingerprint is None:
            return None
        try:
            return base64.b64decode(self.fingerprint, validate=True)
        except binascii.Error as error:
            raise ValueError("the fingerprint is no Base64") from error


def check_fingerprint(kind: Literal["image", "video", "audio"], content: bytes | None) -> None:
    """Raises ValueError for what cannot be the fingerprint of this kind of file."""
    if content is None:
        return
    if kind == PICTURE:
        fits = len(content) == HASH_BYTES
    elif kind == CLIP:
        fits = 0 < len(content) <= FRAMES * HASH_BYTES and len(content) % HASH_BYTES == 0
    else:
        fits = 0 < len(content) <= MAX_SOUND_BYTES and len(content) % WORD_BYTES == 0
    if not fits:
        raise ValueError(f"a fingerprint of {len(content)} bytes is none of a file of kind {kind}")


def moment(seconds: float) -> datetime:
    """A time of the database, seconds since 1970, as entries have it."""
    return EPOCH + timedelta(milliseconds=round(seconds * 1000))
