"""``deepscreen register``: the misuse register on the machine itself. Thin: the work is done in ``register``."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from deepscreen.cli_errors import errors_to_exit_codes
from deepscreen.cli_keys import COMMAND_LINE
from deepscreen.cli_store import DataDir, opened_store

if TYPE_CHECKING:
    from deepscreen.register.entry import Statement, Tlp
    from deepscreen.register.exchange import ExchangeFormat
    from deepscreen.register.rows import Kept
    from deepscreen.register.subject import Subject
    from deepscreen.store.keys import Caller
    from deepscreen.store.store import Store

MARKS, FORMATS = "clear, green, amber, amber+strict, red", "stix, misp, csv"
TLP_HELP = f"How far it may go: {MARKS}."
app = typer.Typer(no_args_is_help=True, help="Keep and share the register of misused generators.")
Format = Annotated[str, typer.Option("--format", help=f"{FORMATS}.")]


@app.command("add")
def add_command(
    screening: Annotated[str, typer.Argument(help="Id of the screening whose file it is about.")],
    tool: Annotated[str, typer.Option(help="Suspected tool or generator; `unknown` if so.")],
    tlp: Annotated[str, typer.Option(help=TLP_HELP)],
    tool_kind: Annotated[str, typer.Option(help="What the tool does.")] = "unknown",
    misuse: Annotated[str, typer.Option(help="What it was used for.")] = "unknown",
    modus_operandi: Annotated[str, typer.Option(help="How it was used; no personal data.")] = "",
    case_reference: Annotated[str, typer.Option(help="Reference of the case.")] = "",
    status: Annotated[str, typer.Option(help="suspected, confirmed or dismissed.")] = "suspected",
    data_dir: DataDir = None,
) -> None:
    """Enter a suspected misuse. Hash and fingerprint are taken from the file, which is not kept in the register."""
    from deepscreen.register.book import Register

    with errors_to_exit_codes(), opened_store(data_dir) as store:
        fields = {"tool": tool, "tool_kind": tool_kind, "misuse": misuse, "modus_operandi": modus_operandi}
        stated = _statement({**fields, "case_reference": case_reference, "status": status, "tlp": tlp})
        kept = Register(store.database).add(_caller(), stated, _subject(store, screening), screening_id=screening)
        typer.echo(kept.id)


@app.command("amend")
def amend_command(
    entry: Annotated[str, typer.Argument(help="Id of the entry.")],
    reason: Annotated[str, typer.Option(help="Why; it stands with the revision.")],
    tool: Annotated[str | None, typer.Option(help="Suspected tool or generator.")] = None,
    tool_kind: Annotated[str | None, typer.Option(help="What the tool does.")] = None,
    misuse: Annotated[str | None, typer.Option(help="What it was used for.")] = None,
    modus_operandi: Annotated[str | None, typer.Option(help="How it was used; no personal data.")] = None,
    case_reference: Annotated[str | None, typer.Option(help="Reference of the case.")] = None,
    status: Annotated[str | None, typer.Option(help="suspected, confirmed or dismissed.")] = None,
    tlp: Annotated[str | None, typer.Option(help=TLP_HELP)] = None,
    data_dir: DataDir = None,
) -> None:
    """Put another revision above an entry; what is not given stays. Earlier revisions are kept."""
    from deepscreen.register.book import Register
    from deepscreen.register.entry import Statement

    given = {"tool": tool, "tool_kind": tool_kind, "misuse": misuse, "modus_operandi": modus_operandi}
    given |= {"case_reference": case_reference, "status": status, "tlp": tlp}
    with errors_to_exit_codes(), _missing_told(entry), opened_store(data_dir) as store:
        register = Register(store.database)
        before = register.get(entry, _caller()).entry
        stated = {name: getattr(before, name) for name in Statement.model_fields}
        changed = {**stated, **{name: value for name, value in given.items() if value is not None}}
        kept = register.amend(entry, _caller(), _statement(changed), revision=before.revision, reason=_plain(reason))
        typer.echo(f"{kept.id} is revision {kept.entry.revision}.")


@app.command("list")
def list_command(
    search: Annotated[str | None, typer.Option(help="A part of tool, modus operandi or case reference.")] = None,
    tool: Annotated[str | None, typer.Option(help="A part of the tool's name.")] = None,
    campaign: Annotated[str | None, typer.Option(help="Entries whose files are copies of one another.")] = None,
    case_reference: Annotated[str | None, typer.Option(help="Reference of the case.")] = None,
    like: Annotated[str | None, typer.Option(help="Id of a screening: entries whose files are copies of its.")] = None,
    sha256: Annotated[str | None, typer.Option(help="Sha256 of the file.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    data_dir: DataDir = None,
) -> None:
    """Show entries, the newest first, or search among them."""
    from deepscreen.register.book import Filters, Register

    with errors_to_exit_codes(), opened_store(data_dir) as store:
        register = Register(store.database)
        ids = None if like is None else register.like(_subject(store, like))
        filters = Filters(
            tool=tool, campaign=campaign, case_reference=case_reference, media_sha256=sha256, text=search, ids=ids
        )
        found = register.page(_caller(), filters, limit=limit)
    Console().print(_table(found))


@app.command("export")
def export_command(
    out: Annotated[Path, typer.Argument(help="Where the file goes.")],
    tlp: Annotated[str, typer.Option(help=f"What its readers may see, nothing above it goes out: {MARKS}.")],
    file_format: Format,
    entry: Annotated[list[str] | None, typer.Option(help="Id of one; may be repeated.", show_default="all")] = None,
    data_dir: DataDir = None,
) -> None:
    """Write the register for others. What was given to this house alone is not handed on."""
    from deepscreen.register.book import Register
    from deepscreen.register.exchange import written

    with errors_to_exit_codes(), _missing_told(", ".join(entry or ())), opened_store(data_dir) as store:
        mark, known_format = _tlp(tlp), _format(file_format)
        shared = Register(store.database).share(_caller(), tlp=mark, file_format=known_format.value, ids=entry or ())
        out.write_bytes(written(shared.entries, known_format))
    typer.echo(f"{len(shared.entries)} entries written, {shared.left_out} left out because of their marks.")


@app.command("import")
def import_command(
    source: Annotated[Path, typer.Argument(help="The file that others gave.")],
    origin: Annotated[str, typer.Option(help="Who gave it. Only the same origin can amend its entries later.")],
    file_format: Format,
    data_dir: DataDir = None,
) -> None:
    """Take in the register of others, all of it or nothing. What is this house's own is never changed by it."""
    from deepscreen.errors import ConfigError
    from deepscreen.register.book import Register
    from deepscreen.register.exchange import read

    with errors_to_exit_codes(), opened_store(data_dir) as store:
        if not 0 < len(origin) <= 100 or not origin.isprintable():
            raise ConfigError("--origin: want 1 to 100 characters in one line")
        try:
            content = source.read_bytes()
        except OSError as error:
            raise ConfigError(f"{source}: cannot be read: {error.strerror}") from error
        taken = Register(store.database).take_in(
            _caller(),
            read(content, _format(file_format)),
            origin=origin,
            file_sha256=hashlib.sha256(content).hexdigest(),
        )
    typer.echo(f"{taken.added} added, {taken.amended} amended, {taken.known} known before.")
    for entry_id in taken.refused:
        typer.echo(
            f"refused: {entry_id} differs from what is here and is no later revision of the same origin", err=True
        )


def _caller() -> Caller:
    from deepscreen.store.keys import Caller, Role

    return Caller(COMMAND_LINE, Role.ADMIN)


def _subject(store: Store, screening_id: str) -> Subject:
    """The file of a screening that is done; raises ConfigError where there is none."""
    from deepscreen.errors import ConfigError
    from deepscreen.record import Screening
    from deepscreen.register.subject import subject_of
    from deepscreen.settings import load_settings
    from deepscreen.store.computations import Queue
    from deepscreen.store.screenings import NotThere, Screenings

    settings = load_settings()
    queue = Queue(store.database, lease_seconds=settings.worker_lease_seconds, max_deaths_alone=1)
    try:
        item = Screenings(store, queue).get(screening_id, _caller())
    except NotThere:
        raise ConfigError(f"no screening {screening_id!r} in this store") from None
    if item.record_sha256 is None:
        raise ConfigError(f"screening {screening_id} is {item.state}: it has no result")
    record = Screening.model_validate_json(store.blobs.read(item.record_sha256))
    return subject_of(store, record.media)


def _statement(fields: dict[str, object]) -> Statement:
    from pydantic import ValidationError

    from deepscreen.errors import ConfigError
    from deepscreen.register.entry import Statement

    try:
        return Statement.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def _plain(reason: str) -> str:
    from deepscreen.errors import ConfigError
    from deepscreen.register.entry import without_personal_data

    try:
        if not reason.strip() or len(reason) > 500:
            raise ValueError("want 1 to 500 characters")
        return without_personal_data(reason.strip())
    except ValueError as error:
        raise ConfigError(f"--reason: {error}") from error


def _tlp(text: str) -> Tlp:
    from deepscreen.errors import ConfigError
    from deepscreen.register.entry import Tlp

    if text not in list(Tlp):
        raise ConfigError(f"there is no mark {text!r}; choose one of {MARKS}")
    return Tlp(text)


def _format(text: str) -> ExchangeFormat:
    from deepscreen.errors import ConfigError
    from deepscreen.register.exchange import ExchangeFormat

    if text not in list(ExchangeFormat):
        raise ConfigError(f"there is no format {text!r}; choose one of {FORMATS}")
    return ExchangeFormat(text)


@contextmanager
def _missing_told(what: str) -> Iterator[None]:
    from deepscreen.errors import ConfigError
    from deepscreen.store.screenings import NotThere

    try:
        yield
    except NotThere:
        raise ConfigError(f"the register has no entry {what}") from None


def _table(found: list[Kept]) -> Table:
    first, last = Column("id", no_wrap=True), Column("campaign", no_wrap=True)
    table = Table(first, "tool", "misuse", "status", "TLP", "case", "from", last)
    for kept in found:
        entry = kept.entry
        cells = (entry.id, entry.tool, entry.misuse, entry.status, entry.tlp, entry.case_reference)
        table.add_row(*map(escape, (*cells, kept.origin or "", (kept.campaign or "")[:8])))
    return table
