"""What the repository promises about itself: two commands, licensed media, links that resolve, nothing left behind."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MEDIA = ROOT / "sample_media"
MAX_FILE_BYTES, MAX_MEDIA_BYTES = 5_000_000, 25_000_000
MAX_HEAD_BYTES = 10_500_000  # a kernel head keeps its examples (docs/adr/0016); that of speech is the largest
NOT_OURS = frozenset({".git", ".venv", "cache", "out", "dist", "node_modules", "__pycache__"})
TEXT_SUFFIXES = frozenset({".py", ".md", ".toml", ".txt", ".sh", ".yaml", ".yml", ".json", ".html", ".css", ""})
USE_TARGETS = ("demo", "serve", "weights", "bench", "golden", "docs", "constraints", "clean")
CHECK_TARGETS = ("test", "test-fast", "check", "format", "docker-check", "gpu-check")
# Folders of the machines that this is written on; a user's checkout lies elsewhere. Spelled in two pieces so that this
# file is not found by its own search.
FOREIGN_PATHS = tuple(re.compile(head + tail) for head, tail in [("/wo", r"rk/"), ("/ro", r"ot/"), ("/ho", r"me/\w+")])


def tracked_files() -> list[Path]:
    """Files that git knows or would take in; where this is no git checkout, all but the ignored folders."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, check=False)
    if listed.returncode == 0:
        return [path for name in listed.stdout.split(b"\0") if name and (path := ROOT / os.fsdecode(name)).is_file()]
    found = (path for path in ROOT.rglob("*") if not NOT_OURS & set(path.relative_to(ROOT).parts))
    return [path for path in found if path.is_file()]


def markdown_pages() -> list[Path]:
    return [path for path in tracked_files() if path.suffix == ".md"]


def listed_hashes() -> dict[str, str]:
    lines = (MEDIA / "README.md").read_text(encoding="utf-8").splitlines()
    return {line[66:]: line[:64] for line in lines if re.fullmatch(r"[0-9a-f]{64}  \S+", line)}


def media_files() -> dict[str, Path]:
    return {str(path.relative_to(MEDIA)): path for path in sorted(MEDIA.glob("*/*")) if path.is_file()}


@pytest.mark.parametrize("target", USE_TARGETS + CHECK_TARGETS)
def test_makefile_has_target_and_says_what_it_does(target: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{target}:.*##\s+\S", makefile, re.MULTILINE)


def test_gate_runs_checks_and_tests() -> None:
    gate = ROOT / ".ci/run"
    assert gate.stat().st_mode & stat.S_IXUSR
    assert re.search(r"^make check test$", gate.read_text(encoding="utf-8"), re.MULTILINE)


def test_constraints_pin_every_direct_dependency() -> None:
    pins = re.findall(r"^([A-Za-z0-9._-]+)==\S+$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    pinned = {re.sub(r"[-_.]+", "-", name).lower() for name in pins}
    wanted = re.findall(r'^\s+"([A-Za-z0-9_-]+)>=', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert {re.sub(r"[-_.]+", "-", name).lower() for name in wanted} <= pinned


def test_licence_is_whole() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert "APPENDIX" in text


def test_notice_names_every_pulled_weight() -> None:
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    manifest = (ROOT / "weights/manifest.toml").read_text(encoding="utf-8")
    packages = set(re.findall(r'package = "([^"]+)"', manifest))
    assert packages
    assert {package for package in packages if package not in notice} == set()


def test_media_readme_lists_every_file_with_its_sha256() -> None:
    found = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in media_files().items()}
    assert listed_hashes() == found
    assert 12 <= len(found) <= 20


def test_media_readme_gives_source_and_licence_of_every_file() -> None:
    rows = [line.split("|") for line in (MEDIA / "README.md").read_text(encoding="utf-8").splitlines()]
    described = {cells[1].strip(" `"): cells[3:5] for cells in rows if len(cells) == 7 and cells[1].startswith(" `")}
    assert set(described) == set(media_files())
    assert all(cell.strip() for cells in described.values() for cell in cells)


def test_media_formats_do_not_tell_the_label() -> None:
    suffixes = {folder: {path.suffix for path in (MEDIA / folder).iterdir()} for folder in ("bona_fide", "spoof")}
    assert suffixes["bona_fide"] == suffixes["spoof"]


def test_media_stay_small() -> None:
    sizes = [path.stat().st_size for path in media_files().values()]
    assert max(sizes) <= MAX_FILE_BYTES
    assert sum(sizes) <= MAX_MEDIA_BYTES


def test_no_tracked_file_is_large() -> None:
    sizes = {path.relative_to(ROOT): path.stat().st_size for path in tracked_files()}
    large = [str(path) for path, size in sizes.items() if size > _most_bytes(path)]
    assert large == []


def _most_bytes(path: Path) -> int:
    return MAX_HEAD_BYTES if path.parent == Path("weights/heads") else MAX_FILE_BYTES


def test_links_between_pages_resolve() -> None:
    broken = []
    for page in markdown_pages():
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
            path = target.partition("#")[0]
            if path and "://" not in path and not path.startswith("mailto:") and not (page.parent / path).exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert broken == []


def test_source_files_named_in_the_threat_model_exist() -> None:
    text = (ROOT / "docs/threat-model.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z_]+/[a-z_]+\.py)`", text))
    assert named
    assert {name for name in named if not (ROOT / "src/deepscreen" / name).is_file()} == set()


def test_no_text_names_a_folder_of_a_developers_machine() -> None:
    found = []
    for path in tracked_files():
        if path.suffix not in TEXT_SUFFIXES or path.stat().st_size > MAX_FILE_BYTES:
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        found += [f"{path.relative_to(ROOT)}: {m.group()}" for pattern in FOREIGN_PATHS for m in pattern.finditer(text)]
    assert found == []


@pytest.mark.parametrize("script", sorted(path.name for path in (ROOT / "scripts").glob("*.sh")))
def test_shell_script_is_executable_and_parses(script: str) -> None:
    path = ROOT / "scripts" / script
    assert path.stat().st_mode & stat.S_IXUSR
    checked = subprocess.run(["bash", "-n", str(path)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_apt_script_changes_nothing_where_all_is_there(tmp_path: Path) -> None:
    """With every library and venv present the script must not reach for apt-get."""
    trap = tmp_path / "apt-get"
    trap.write_text("#!/bin/sh\nexit 97\n")
    trap.chmod(0o755)
    python = ROOT / ".venv/bin/python"
    if not python.exists():
        pytest.skip("runs from no .venv")
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", str(ROOT / "scripts/apt.sh"), str(python)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")
