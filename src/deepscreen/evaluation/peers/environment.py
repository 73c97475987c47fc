"""Virtual environments of peers, made on demand: what a peer wants installed is never installed beside ours."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from deepscreen.errors import WeightsUnavailable

MARKER_NAME = "requirements.txt"
LINES_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Environment:
    """What is to be installed under which name. Requirements are pinned."""

    name: str
    requirements: tuple[str, ...]

    def python(self, folder: Path) -> Path:
        """Its interpreter below *folder*; made there with venv and pip unless it is there already.

        pip's own configuration says which index is asked. Raises WeightsUnavailable with what pip said.
        """
        home = folder / self.name
        python, marker = home / "bin" / "python", home / MARKER_NAME
        wanted = "\n".join(self.requirements) + "\n"
        if python.exists() and marker.is_file() and marker.read_text(encoding="utf-8") == wanted:
            return python
        self._run(sys.executable, "-m", "venv", "--clear", str(home))
        pip = ("-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--only-binary=:all:")
        self._run(str(python), *pip, *self.requirements)
        marker.write_text(wanted, encoding="utf-8")  # last: an interrupted installation is made anew
        return python

    def _run(self, *command: str) -> None:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise WeightsUnavailable(
                f"{self.name}: could not install {', '.join(self.requirements)} (exit code {done.returncode}: "
                f"{last_lines(done.stderr or done.stdout)}); check network, pip's index settings and Python version"
            )


def last_lines(text: str) -> str:
    """The end of what a program said, in one line."""
    return " | ".join([line for line in text.splitlines() if line.strip()][-LINES_SHOWN:])
