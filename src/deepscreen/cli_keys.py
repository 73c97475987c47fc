"""``deepscreen keys``: make, list and revoke API keys. Thin: all work is done in ``deepscreen.store.keys``."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from deepscreen.cli_errors import errors_to_exit_codes
from deepscreen.cli_store import DataDir, opened_store

DAY_SECONDS = 86_400.0
DEFAULT_DAYS = 90.0
COMMAND_LINE = "command-line"  # who did it, in the audit log

app = typer.Typer(no_args_is_help=True, help="Make, list and revoke the API keys of the service.")


@app.command("create")
def create_command(
    name: Annotated[str, typer.Argument(help="Whose key it is, or what it is for.")],
    role: Annotated[str, typer.Option(help="examiner, reviewer, admin or auditor.")],
    days: Annotated[float, typer.Option(help="For how long it is valid; 0: until it is revoked.")] = DEFAULT_DAYS,
    data_dir: DataDir = None,
) -> None:
    """Make a key and print it, this once; it is kept nowhere. From the first one on, the service asks for keys."""
    from deepscreen.errors import ConfigError
    from deepscreen.store.keys import Role, create_key

    with errors_to_exit_codes(), opened_store(data_dir) as store:
        if role not in list(Role):
            raise ConfigError(f"there is no role {role!r}; choose one of {', '.join(Role)}")
        if days < 0 or not math.isfinite(days):
            raise ConfigError(f"--days {days}: want 0 or more")
        lifetime = days * DAY_SECONDS if days else None
        key, token = create_key(
            store.database, name=name, role=Role(role), lifetime_seconds=lifetime, actor=COMMAND_LINE
        )
    typer.echo(f"{key.role} key {key.id}, valid until {_date(key.expires_at)}. It is shown only now:", err=True)
    typer.echo(token)


@app.command("list")
def list_command(data_dir: DataDir = None) -> None:
    """Show all keys, without their secrets."""
    from deepscreen.store.keys import list_keys

    table = Table(Column("id", no_wrap=True), "name", "role", Column("state", no_wrap=True), "made", "until")
    with errors_to_exit_codes(), opened_store(data_dir) as store:
        for key, state in list_keys(store.database):
            made, until = _date(key.created_at), _date(key.expires_at)
            table.add_row(key.id, escape(key.name), key.role, state, made, until)
    Console().print(table)


@app.command("revoke")
def revoke_command(key_id: Annotated[str, typer.Argument(help="Id of the key.")], data_dir: DataDir = None) -> None:
    """End a key at once."""
    from deepscreen.store.keys import revoke_key

    with errors_to_exit_codes(), opened_store(data_dir) as store:
        revoke_key(store.database, key_id, actor=COMMAND_LINE)
    typer.echo(f"{key_id} is revoked.")


def _date(seconds: float | None) -> str:
    return "it is revoked" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
