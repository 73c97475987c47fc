"""How the program ends: one exit code an error family, one line on standard error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from deepscreen.errors import CalibrationError, ConfigError, DeepscreenError, WeightsError

EXIT_FAILED_FILES = 1  # at least one file could not be screened
EXIT_CONFIG = 2  # an option or a setting is wrong
EXIT_WEIGHTS = 3  # weights or calibrations are missing, changed or not to be had
EXIT_INTERRUPTED = 130


@contextmanager
def errors_to_exit_codes() -> Iterator[None]:
    """Prints a DeepscreenError as one line, without a traceback, and ends with its exit code."""
    try:
        yield
    except DeepscreenError as error:
        print_error(error)
        raise typer.Exit(_exit_code(error)) from error


def print_error(error: DeepscreenError) -> None:
    """One line on standard error."""
    typer.echo(f"error: {error}", err=True)


def _exit_code(error: DeepscreenError) -> int:
    if isinstance(error, WeightsError | CalibrationError):
        return EXIT_WEIGHTS
    return EXIT_CONFIG if isinstance(error, ConfigError) else EXIT_FAILED_FILES
