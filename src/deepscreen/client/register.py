"""What the clients do with the misuse register."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deepscreen.api.wire_misuse import (
    MisuseChange,
    MisuseDetail,
    MisuseImported,
    MisuseInfo,
    MisusePage,
    NewMisuse,
)
from deepscreen.client.flows import Call, Flow, insist, once, page_of, read, save
from deepscreen.register.entry import Tlp
from deepscreen.register.exchange import ExchangeFormat

PATH = "/v1/misuse"


def add(new: NewMisuse) -> Flow[MisuseInfo]:
    """Makes an entry about the file of a screening."""
    return read(MisuseInfo, (yield from once("POST", PATH, json=new.model_dump(mode="json"))))


def page(filters: Mapping[str, Any], before: str | None) -> Flow[MisusePage]:
    """A page of entries."""
    return (yield from page_of(MisusePage, PATH, filters, before))


def entry(entry_id: str) -> Flow[MisuseDetail]:
    """An entry with all that stood before."""
    return read(MisuseDetail, (yield from insist(Call("GET", f"{PATH}/{entry_id}"))))


def amend(entry_id: str, change: MisuseChange) -> Flow[MisuseInfo]:
    """Puts another revision above the current one; 409 where that is not the one that was meant."""
    changed = change.model_dump(mode="json", exclude_none=True)
    return read(MisuseInfo, (yield from once("PATCH", f"{PATH}/{entry_id}", json=changed)))


def export(target: Path, *, tlp: Tlp, file_format: ExchangeFormat, ids: Sequence[str]) -> Flow[Path]:
    """Saves what those may see who get it as *target*."""
    params = {"tlp": tlp.value, "format": file_format.value, "entry": list(ids)}
    return (yield from save(Call("GET", f"{PATH}/export", params=params, is_slow=True), target))


def take_in(source: Path, *, file_format: ExchangeFormat, origin: str) -> Flow[MisuseImported]:
    """Gives the service the register of others; what it has already stays as it is."""
    params = {"format": file_format.value, "origin": origin}
    call = Call("POST", f"{PATH}/import", params=params, content=source.read_bytes())
    return read(MisuseImported, (yield from insist(call)))
