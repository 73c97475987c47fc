"""What commands that screen have in common: their options, and a desk that is closed at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from deepscreen.screening import ScreeningDesk
    from deepscreen.settings import Settings

Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N.", show_default="auto")]
Precision = Annotated[str | None, typer.Option(help="auto, bf16 or fp32.", show_default="auto")]
Thoroughness = Annotated[
    str | None,
    typer.Option(
        "--profile",
        help="default, or thorough: what is decided is re-encoded at three levels, to see whether it stands.",
        show_default="default",
    ),
]


def settings_of(device: str | None, precision: str | None, **others: object) -> Settings:
    """The settings with the options of a command on top; what is None was not given. Raises ConfigError."""
    from deepscreen.settings import load_settings

    given = {"device": device, "precision": precision, **others}
    return load_settings(**{name: value for name, value in given.items() if value is not None})


@contextmanager
def loaded_desk(device: str | None, precision: str | None, profile: str | None) -> Iterator[ScreeningDesk]:
    """A desk with all networks. A wrong option is refused before anything heavy is loaded."""
    settings = settings_of(device, precision, profile=profile)
    with Console(stderr=True).status("loading and proving the weights"):
        from deepscreen.screening import ScreeningDesk

        desk = ScreeningDesk.build(settings)
    try:
        yield desk
    finally:
        desk.close()
