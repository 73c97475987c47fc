"""Fetches what is vendored from the npm registry, at the versions and hashes of its manifest; --update renews both.

The console itself needs nothing of others (docs/adr/0020); its tests use axe-core. To vendor more, add an entry to the
manifest and run this with --update.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
MANIFEST = ROOT / "tests/browser/vendor/manifest.json"
TIMEOUT_SECONDS = 120


def fetch(name: str, version: str) -> bytes:
    """The package's archive as npm gives it; nothing of it is run."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", f"{name}@{version}", "--ignore-scripts", "--silent"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=TIMEOUT_SECONDS)
        return (Path(folder) / done.stdout.strip().splitlines()[-1]).read_bytes()


def unpack(archive: bytes, member: str) -> bytes:
    """One file of it; raises KeyError where there is none."""
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as opened:
        file = opened.extractfile(f"package/{member}")
        assert file is not None, f"{member} is no file"
        return file.read()


def vendor(entry: dict[str, Any], *, update: bool) -> None:
    """Writes the files of one package; raises SystemExit where one is not what the manifest says."""
    archive = fetch(entry["name"], entry["version"])
    for file in entry["files"]:
        content = unpack(archive, file["member"])
        digest = hashlib.sha256(content).hexdigest()
        if update:
            file["sha256"] = digest
        elif digest != file["sha256"]:
            raise SystemExit(f"{entry['name']}: {file['member']} has sha256 {digest}, the manifest says another")
        (MANIFEST.parent / file["path"]).write_bytes(content)


def main() -> None:
    """Fetches all packages of the manifest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--update", action="store_true", help="write the hashes of what was fetched into the manifest")
    update: bool = parser.parse_args().update
    manifest = json.loads(MANIFEST.read_text(encoding="utf-8"))
    for entry in manifest["packages"]:
        vendor(entry, update=update)
    if update:
        MANIFEST.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(f"{len(manifest['packages'])} packages\n")


if __name__ == "__main__":
    main()
