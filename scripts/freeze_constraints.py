"""Writes constraints.txt: the exact version of every package that Deepscreen's install pulls in, with its extras.

Run by ``make constraints`` inside an environment in which the versions to be pinned are installed and tested. Follows
the requirements in pyproject.toml and leaves out whatever else lives in that environment.
"""

from __future__ import annotations

import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from itertools import chain
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
# Modules that left the standard library with 3.13 and that audioread asks for there; not installed on older Pythons.
ONLY_ON_3_13 = ("audioop-lts==0.2.2", "standard-aifc==3.13.0", "standard-chunk==3.13.0", "standard-sunau==3.13.0")
LEFT_OUT = frozenset({"deepscreen", "pip", "setuptools", "wheel"})
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
HEADER = f"""\
# Exact versions that the tests ran with on Linux x86_64; written by `make constraints` (Python {PYTHON}).
# The nvidia-* packages come with PyTorch's CUDA build and are not installed where the CPU build is.
"""


def _needs(name: str, extras: frozenset[str]) -> list[Requirement]:
    """The requirements of an installed package that hold here, given the *extras* that are asked of it."""
    found = []
    for line in distribution(name).requires or []:
        requirement = Requirement(line)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras | {""}):
            found.append(requirement)
    return found


def declared() -> list[Requirement]:
    """What pyproject.toml asks for, all extras included (an installed copy's metadata may be older)."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *chain.from_iterable(project["optional-dependencies"].values())]
    return [Requirement(line) for line in lines]


def closure(roots: list[Requirement]) -> dict[str, str]:
    """Name -> version of everything that *roots* need, themselves included; raises where one is missing."""
    versions: dict[str, str] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    queue = [(canonicalize_name(root.name), frozenset(root.extras)) for root in roots]
    while queue:
        item = queue.pop()
        if item in seen:
            continue
        seen.add(item)
        name, wanted = item
        versions[name] = distribution(name).version
        queue += [(canonicalize_name(need.name), frozenset(need.extras)) for need in _needs(name, wanted)]
    return versions


def main() -> None:
    """Rewrites constraints.txt beside pyproject.toml."""
    try:
        versions = closure(declared())
    except PackageNotFoundError as error:
        raise SystemExit(f"constraints: {error.name} is not installed here; run `make dev` first") from error
    lines = [f"{name}=={version.split('+')[0]}" for name, version in sorted(versions.items()) if name not in LEFT_OUT]
    pinned = {line.partition("==")[0] for line in lines}
    lines += [f'{line}; python_version >= "3.13"' for line in ONLY_ON_3_13 if line.partition("==")[0] not in pinned]
    (ROOT / "constraints.txt").write_text(HEADER + "\n".join(lines) + "\n", encoding="utf-8")
    sys.stdout.write(f"constraints.txt: {len(lines)} packages\n")


if __name__ == "__main__":
    main()
