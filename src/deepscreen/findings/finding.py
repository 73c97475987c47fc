"""One finding: a fact about a file that a reader of the record must be able to weigh. Never a score, never a verdict.

A finding says what is there, where it was read, and nothing of what it proves: metadata can be forged, and most
oddities have innocent causes. ``severity`` only orders the list for a busy reader.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool

MAX_MESSAGE_CHARACTERS = 600
MAX_VALUE_CHARACTERS = 300
MAX_FACTS = 16
MAX_EXACT_INTEGER = 2**53 - 1  # beyond it JSON readers disagree
Severity = Literal["info", "notice", "warning"]
SEVERITIES: tuple[Severity, ...] = ("warning", "notice", "info")
FactValue = (
    StrictBool
    | Annotated[int, Field(strict=True, ge=-MAX_EXACT_INTEGER, le=MAX_EXACT_INTEGER)]
    | Annotated[float, Field(strict=True)]
    | Annotated[str, Field(strict=True, max_length=MAX_VALUE_CHARACTERS)]
)


class Finding(BaseModel):
    """A fact about the file; never a score."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    code: str = Field(pattern=r"^[a-z0-9_]{1,64}$", description="Stable name of the kind of fact.")
    message: str = Field(max_length=MAX_MESSAGE_CHARACTERS, description="The fact in a plain sentence.")
    severity: Severity = Field(
        "info",
        description="info: for completeness; notice: unusual, often innocent; warning: the file contradicts itself or "
        "says that it was made or changed by software.",
    )
    facts: dict[str, FactValue] = Field(
        default_factory=dict, max_length=MAX_FACTS, description="What the sentence rests on, as read or measured."
    )
    source: str = Field("decoding", max_length=64, description="Where it was read: EXIF, XMP, MP4 boxes, samples, ...")


def finding(
    code: str, message: str, *, source: str, severity: Severity = "info", facts: Mapping[str, object] | None = None
) -> Finding:
    """A finding whose texts are cut and cleaned to what a record may hold; facts without a value are left out."""
    kept = {name: _value(value) for name, value in (facts or {}).items() if value not in (None, "")}
    return Finding(
        code=code,
        message=clean(message, MAX_MESSAGE_CHARACTERS),
        severity=severity,
        facts=dict(list(kept.items())[:MAX_FACTS]),
        source=source,
    )


def clean(text: str, limit: int = MAX_VALUE_CHARACTERS) -> str:
    """*text* in one line, without what JSON cannot carry or no reader can see, cut to *limit* characters."""
    sound = text.encode("utf-8", "replace").decode("utf-8")
    line = " ".join("".join(c if c.isprintable() else " " for c in sound[: 4 * limit]).split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def _value(value: object) -> bool | int | float | str:
    if isinstance(value, bool) or (isinstance(value, int) and abs(value) <= MAX_EXACT_INTEGER):
        return value
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, list | tuple | set | frozenset):
        return clean(", ".join(str(part) for part in value))
    return clean(str(value))
