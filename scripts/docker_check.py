"""Proves the Dockerfile's steps without a Docker engine: runs them in debootstrap roots, then screens one sample.

Takes every RUN, COPY, ENV, ARG, WORKDIR and USER from the Dockerfile itself, stage by stage, so what is tested is what
is written there. The base image is replaced by a bare root of this machine's own distribution. Needs root, debootstrap
(installed when missing) and about 20 GB of disk. Not for CI.

    make docker-check BINDS="--bind /some/wheelhouse"    (folders that pip's configuration names, if any; for a
                                                         certificate authority of your own, the folder
                                                         /usr/local/share/ca-certificates)
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from dockerfile_parse import DockerfileParser

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = "sample_media/bona_fide/portrait_hopper.jpg"
PASSED_ON = re.compile(r"^(PIP_|https?_proxy$|no_proxy$|SSL_CERT)", re.IGNORECASE)
APT_SOURCE = re.compile(r"^(?:deb\s+(?:\[[^\]]*\]\s+)?|URIs:\s*)(\S+)", re.MULTILINE)


@dataclass
class Stage:
    """One stage of the Dockerfile: its root folder and what ENV, ARG, WORKDIR and USER have said so far."""

    root: Path
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
    workdir: str = "/"
    user: str = "0:0"

    def run(self, command: list[str]) -> None:
        """Runs a command in the root as the stage's user; raises CalledProcessError where it fails."""
        passed = {name: value for name, value in os.environ.items() if PASSED_ON.match(name)}
        inside = f"cd {shlex.quote(self.workdir)} && exec {shlex.join(command)}"
        chroot = ["chroot", f"--userspec={self.user}", str(self.root), "/bin/sh", "-c", inside]
        subprocess.run(chroot, env={**passed, **self.environment}, check=True, stdin=subprocess.DEVNULL)

    def copy(self, arguments: list[str], stages: dict[str, Stage]) -> None:
        """COPY: sources from the checkout, or from another stage's root with --from."""
        origin = ROOT
        if arguments[0].startswith("--from="):
            origin = stages[arguments.pop(0).removeprefix("--from=")].root
        *sources, last = arguments
        target = self.root / Path(self.workdir, last).relative_to("/")
        for source in sources:
            found = origin / source.lstrip("/")
            place = target / found.name if last.endswith("/") else target
            place.parent.mkdir(parents=True, exist_ok=True)
            if found.is_dir():
                ignored = shutil.ignore_patterns("__pycache__", *(["cache"] if source == "weights" else []))
                shutil.copytree(found, place, symlinks=True, ignore=ignored)
            else:
                shutil.copyfile(found, place)


def make_base(folder: Path) -> Path:
    """A bare root of this machine's distribution and release, from its own mirror."""
    release = platform.freedesktop_os_release()
    sources = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    mirrors = [m for path in sources if path.is_file() for m in APT_SOURCE.findall(path.read_text(encoding="utf-8"))]
    if not mirrors:
        raise SystemExit("docker-check: no mirror found in /etc/apt; debootstrap needs one")
    base = folder / "base"
    components = "main,universe" if release["ID"] == "ubuntu" else "main"
    command = ["debootstrap", "--variant=minbase", f"--components={components}", release["VERSION_CODENAME"], str(base)]
    subprocess.run([*command, mirrors[0]], check=True, stdout=subprocess.DEVNULL)
    for name in ("etc/resolv.conf", "etc/hosts"):
        shutil.copyfile(f"/{name}", base / name)
    return base


def mount(root: Path, binds: list[Path]) -> None:
    """/proc and *binds* inside the root, the latter read-only."""
    for source in (Path("/proc"), *binds):
        target = root / source.relative_to("/")
        target.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "--bind", str(source), str(target)], check=True)
        if source in binds:
            subprocess.run(["mount", "-o", "remount,ro,bind", str(target)], check=True)


def unmount_below(folder: Path) -> None:
    """Takes away every mount under *folder*, innermost first, so that removing it cannot reach outside."""
    lines = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    for target in reversed([line.split()[1] for line in lines if line.split()[1].startswith(f"{folder}/")]):
        subprocess.run(["umount", target], check=True)


def build(base: Path, binds: list[Path]) -> Stage:
    """Carries out the Dockerfile, stage by stage; returns the last stage."""
    with (ROOT / "Dockerfile").open("rb") as file:
        steps = DockerfileParser(fileobj=file).structure
    stages: dict[str, Stage] = {}
    current: Stage | None = None
    for step in steps:
        instruction, value = step["instruction"], step["value"]
        if instruction == "FROM":
            current = Stage(base.parent / f"stage{len(stages)}")
            subprocess.run(["cp", "-a", str(base), str(current.root)], check=True)
            mount(current.root, binds)
            stages[value.split(" AS ")[-1]] = current
        elif current is not None:
            _carry_out(current, instruction, value, stages)
    if current is None:
        raise SystemExit("docker-check: the Dockerfile has no FROM")
    return current


def _carry_out(stage: Stage, instruction: str, value: str, stages: dict[str, Stage]) -> None:
    if instruction in ("RUN", "COPY"):
        sys.stdout.write(f"== {instruction} {value}\n")
        sys.stdout.flush()
    if instruction == "RUN":
        stage.run(["/bin/sh", "-c", value])
    elif instruction == "COPY":
        stage.copy(shlex.split(value), stages)
    elif instruction in ("ENV", "ARG"):
        pairs = dict(part.partition("=")[::2] for part in shlex.split(value))
        stage.environment |= {k: v.replace("$PATH", stage.environment["PATH"]) for k, v in pairs.items()}
    elif instruction == "WORKDIR":
        stage.workdir = value
        (stage.root / value.lstrip("/")).mkdir(parents=True, exist_ok=True)
    elif instruction == "USER":
        stage.user = value


def screen_sample(stage: Stage) -> None:
    """`deepscreen info` and one screening, as the image's own user."""
    shutil.copyfile(ROOT / SAMPLE, stage.root / "tmp/sample.jpg")
    (stage.root / "tmp").chmod(0o1777)
    stage.run(["deepscreen", "info"])
    chroot = [
        "chroot",
        f"--userspec={stage.user}",
        str(stage.root),
        "deepscreen",
        "screen",
        "--json",
        "/tmp/sample.jpg",
    ]
    done = subprocess.run(chroot, env=stage.environment, check=True, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    verdict = json.loads(done.stdout.splitlines()[0])
    sys.stdout.write(f"screened: {json.dumps(verdict)[:400]}\n")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bind", type=Path, action="append", default=[], help="folder to show read-only in the roots")
    parser.add_argument("--work", type=Path, help="parent of the temporary roots (default: the system's)")
    options = parser.parse_args()
    if os.geteuid() != 0:
        raise SystemExit("docker-check: not run (needs root for debootstrap and chroot)")
    if shutil.which("debootstrap") is None:
        subprocess.run(["apt-get", "install", "-y", "-qq", "debootstrap"], check=True)
    folder = Path(tempfile.mkdtemp(prefix="deepscreen-docker-check-", dir=options.work))
    try:
        screen_sample(build(make_base(folder), options.bind))
        sys.stdout.write("docker-check: passed\n")
    finally:
        unmount_below(folder)
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
