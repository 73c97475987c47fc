"""What is vendored is what the manifest says, with its licence; the console itself brings nothing of others."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

from deepscreen.web import assets

VENDOR = Path(__file__).resolve().parents[1] / "browser/vendor"
MANIFEST = json.loads((VENDOR / "manifest.json").read_text(encoding="utf-8"))
FILES = [(package, file) for package in MANIFEST["packages"] for file in package["files"]]


def test_vendored_files_are_those_of_the_manifest() -> None:
    assert {file["path"] for _, file in FILES} | {"manifest.json"} == {path.name for path in VENDOR.iterdir()}
    for _, file in FILES:
        assert hashlib.sha256((VENDOR / file["path"]).read_bytes()).hexdigest() == file["sha256"]


def test_vendored_packages_name_version_and_licence() -> None:
    for package in MANIFEST["packages"]:
        assert re.fullmatch(r"\d+\.\d+\.\d+", package["version"])
        assert package["licence"]
        assert any("LICENSE" in file["member"] for file in package["files"])


def test_scripts_and_styles_name_nothing_outside_of_the_service() -> None:
    for name, content in assets.contents().items():
        text = content.decode("utf-8").replace("http://www.w3.org/", "")  # names of XML, which nobody asks
        assert not re.search(r"https?://|//[a-z]+\.[a-z]", text), name
        assert "innerHTML" not in text or name == "api.js", "one place alone turns text into markup"
        assert not re.search(r"\beval\(|new Function|document\.write|insertAdjacentHTML|outerHTML", text), name


def test_modules_import_only_modules_that_there_are() -> None:
    names = set(assets.contents())
    for name, content in assets.contents().items():
        if name.endswith(".js"):
            asked = set(re.findall(r'(?:from|import) "\./([\w.]+)"', content.decode("utf-8")))
            assert asked <= names, name
