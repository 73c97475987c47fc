"""What goes over the wire about the misuse register."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from deepscreen.register.entry import (
    MAX_CASE_REFERENCE,
    MAX_MODUS_OPERANDI,
    MAX_TOOL,
    Entry,
    FreeText,
    Line,
    Misuse,
    Statement,
    Status,
    Tlp,
    ToolKind,
)
from deepscreen.register.rows import Kept

MAX_REASON, MAX_ORIGIN = 500, 100
Origin = Annotated[str, StringConstraints(min_length=1, max_length=MAX_ORIGIN, pattern=r"^[^\x00-\x1f\x7f]*$")]


class NewMisuse(Statement):
    """An entry to be made about the file of a screening; hash and fingerprint are taken from the file."""

    screening_id: str = Field(pattern="^[0-9a-f]{32}$", description="A screening that is done.")


class MisuseChange(BaseModel):
    """Another revision of an entry; what is not given stays."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    revision: int = Field(ge=1, le=1_000_000, description="The one that is amended; 409 where it is not current.")
    reason: FreeText = Field(min_length=1, max_length=MAX_REASON)
    tool: Line | None = Field(None, min_length=1, max_length=MAX_TOOL)
    tool_kind: ToolKind | None = None
    misuse: Misuse | None = None
    modus_operandi: FreeText | None = Field(None, max_length=MAX_MODUS_OPERANDI)
    case_reference: Line | None = Field(None, max_length=MAX_CASE_REFERENCE)
    status: Status | None = None
    tlp: Tlp | None = None

    def over(self, entry: Entry) -> Statement:
        """What *entry* states with these changes."""
        given = {name: getattr(self, name) for name in Statement.model_fields}
        stated = {name: getattr(entry, name) for name in Statement.model_fields}
        return Statement(**{**stated, **{name: value for name, value in given.items() if value is not None}})


class MisuseInfo(Entry):
    """A revision of an entry, with what this service alone knows of it."""

    created_by: str = Field(description="Id of the key that made the first revision, or imported it.")
    revised_by: str = Field(description="Id of the key that made this revision.")
    reason: str = Field(description="Why it was amended; empty in a first revision.")
    screening_id: str | None = Field(description="Whose file it is about; null where it came from elsewhere.")
    origin: str | None = Field(description="Who gave it; null where it was made here.")
    campaign: str | None = Field(
        description="Id of the oldest entry whose file is a copy, of those the caller may see; null: there is none."
    )


class MisuseDetail(MisuseInfo):
    """An entry with all that stood before."""

    earlier: tuple[MisuseInfo, ...] = Field(description="Revisions before this one, the latest first.")


class MisusePage(BaseModel):
    """Entries from the newest to the oldest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    entries: tuple[MisuseInfo, ...]
    next: str | None = Field(description="Value of `before` for the next page; none on the last.")


class MisuseImported(BaseModel):
    """What came of an import."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    added: int
    amended: int = Field(description="Entries of the same origin that were there with an earlier revision.")
    known: int = Field(description="Entries that were there already.")
    refused: tuple[str, ...] = Field(
        description="Ids of entries that differ from what is there and are no later revision of the same origin."
    )


def misuse_fields(kept: Kept) -> dict[str, object]:
    """The fields of a MisuseInfo."""
    own = ("created_by", "revised_by", "reason", "screening_id", "origin", "campaign")
    return {**dict(kept.entry), **{name: getattr(kept, name) for name in own}}


def misuse_info(kept: Kept) -> MisuseInfo:
    """The revision as it is told."""
    return MisuseInfo.model_validate(misuse_fields(kept))
