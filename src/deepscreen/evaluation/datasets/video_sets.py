"""Public sets of manipulated faces in video: FaceForensics++, Celeb-DF v2, DFDC and FakeAVCeleb."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from deepscreen.errors import ConfigError
from deepscreen.evaluation.datasets.item import (
    BONA_FIDE,
    SPOOF,
    Item,
    Label,
    below,
    in_order,
    labelled_file,
    read_columns,
)
from deepscreen.report.wording import shown

FACE_SWAP, REENACTMENT = "faceswap", "reenactment"
FF_METHODS = {
    "Deepfakes": FACE_SWAP,
    "FaceSwap": FACE_SWAP,
    "FaceShifter": FACE_SWAP,
    "DeepFakeDetection": FACE_SWAP,
    "Face2Face": REENACTMENT,
    "NeuralTextures": REENACTMENT,
}
FF_PAIR = re.compile(r"(\d{3})_(\d{3})$")
CELEB_FOLDERS = {"Celeb-real": BONA_FIDE, "YouTube-real": BONA_FIDE, "Celeb-synthesis": SPOOF}
CELEB_TEST_LIST = "List_of_testing_videos.txt"
AV_META = "meta_data.csv"
AV_TYPES = {
    "RealVideo-RealAudio": (BONA_FIDE, BONA_FIDE),
    "RealVideo-FakeAudio": (BONA_FIDE, SPOOF),
    "FakeVideo-RealAudio": (SPOOF, BONA_FIDE),
    "FakeVideo-FakeAudio": (SPOOF, SPOOF),
}
LIP_SYNC = "wav2lip"


def is_faceforensics(root: Path) -> bool:
    """The folders that the set's own download script makes."""
    return (root / "original_sequences").is_dir() or (root / "manipulated_sequences").is_dir()


def read_faceforensics(root: Path) -> list[Item]:
    """``original_sequences/PART/LEVEL/videos`` and ``manipulated_sequences/METHOD/LEVEL/videos``; LEVEL is the quality.

    A manipulated video ``TARGET_SOURCE.mp4`` and both originals are one group.
    """
    clips = [*root.glob("original_sequences/*/*/videos/*.mp4"), *root.glob("manipulated_sequences/*/*/videos/*.mp4")]
    partners = {m[1]: m[2] for clip in clips if (m := FF_PAIR.match(clip.stem))}
    return in_order(_ff_item(root, clip, partners) for clip in clips)


def _ff_item(root: Path, clip: Path, partners: dict[str, str]) -> Item:
    half, part, level = clip.relative_to(root).parts[:3]
    if half == "original_sequences":
        said = Label(BONA_FIDE, f"FaceForensics++ {part}", group=_ff_group(clip.stem, partners))
    elif part in FF_METHODS:
        origin = "actors" if part == "DeepFakeDetection" else "youtube"
        group = _ff_group(clip.stem, partners)
        said = Label(SPOOF, f"FaceForensics++ {origin}", FF_METHODS[part], part, group)
    else:
        raise ConfigError(f"{shown(str(clip))}: want one of the methods {', '.join(FF_METHODS)}, got {shown(part)}")
    return Item(labelled_file(root, clip, said), "video", quality=level)


def _ff_group(stem: str, partners: dict[str, str]) -> str:
    """The pair of a youtube video; the first actor of an actors' video (``01_02__scene`` or ``01__scene``)."""
    target = stem.split("_")[0]
    if "__" in stem:
        return f"actor {target}"
    return "-".join(sorted({target, partners.get(target, target)}))


def is_celeb_df(root: Path) -> bool:
    """All three folders of the set."""
    return all((root / name).is_dir() for name in CELEB_FOLDERS)


def read_celeb_df(root: Path) -> list[Item]:
    """``Celeb-real``, ``YouTube-real`` and ``Celeb-synthesis``; the official test videos where their list is there.

    In that list 1 is bona fide. Videos of one identity (``idN_``) are one group.
    """
    listed = root / CELEB_TEST_LIST
    if listed.is_file():
        clips = [_celeb_listed(root, listed, row) for row in read_columns(listed, 2)]
    else:
        clips = [clip for name in CELEB_FOLDERS for clip in (root / name).glob("*.mp4")]
    return in_order(_celeb_item(root, clip) for clip in clips)


def _celeb_listed(root: Path, listed: Path, row: list[str]) -> Path:
    clip = below(root, row[1])
    label = CELEB_FOLDERS.get(clip.relative_to(root).parts[0])
    if label is None or row[0] != str(1 - label):
        raise ConfigError(
            f"{shown(str(listed))}: {shown(' '.join(row))}: want 1 before Celeb-real/ and YouTube-real/, "
            "0 before Celeb-synthesis/"
        )
    return clip


def _celeb_item(root: Path, clip: Path) -> Item:
    folder = clip.relative_to(root).parts[0]
    group = clip.stem.split("_")[0] if clip.stem.startswith("id") else ""
    if CELEB_FOLDERS[folder] == SPOOF:
        said = Label(SPOOF, "Celeb-DF v2", FACE_SWAP, "Celeb-DF synthesis", group)
    else:
        said = Label(BONA_FIDE, "Celeb-DF v2" if folder == "Celeb-real" else "Celeb-DF v2 YouTube", group=group)
    return Item(labelled_file(root, clip, said), "video")


def is_dfdc(root: Path) -> bool:
    """A ``metadata.json`` in the folder, or in each part below it."""
    return bool(_dfdc_lists(root))


def read_dfdc(root: Path) -> list[Item]:
    """``metadata.json`` of each part: ``{"NAME.mp4": {"label": "REAL"|"FAKE", "original": "NAME.mp4"}}``.

    A forgery and its original are one group. The label does not say whether picture, sound or both were changed.
    """
    return in_order(item for listed in _dfdc_lists(root) for item in _dfdc_part(root, listed))


def _dfdc_lists(root: Path) -> list[Path]:
    return [path for path in (root / "metadata.json", *sorted(root.glob("*/metadata.json"))) if path.is_file()]


def _dfdc_part(root: Path, listed: Path) -> Iterator[Item]:
    labels = {"REAL": BONA_FIDE, "FAKE": SPOOF}
    source = f"DFDC {listed.parent.name}"
    for name, facts in read_json(listed).items():
        label = labels.get(facts.get("label", "")) if isinstance(facts, dict) else None
        if label is None:
            raise ConfigError(f"{shown(str(listed))}: {shown(name)}: want a label REAL or FAKE, got {facts!r:.80}")
        group = str(facts.get("original") or name)
        said = Label(SPOOF, source, FACE_SWAP, "DFDC", group) if label else Label(BONA_FIDE, source, group=group)
        yield Item(labelled_file(root, below(listed.parent, name), said), "video")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; raises ConfigError for anything else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{shown(str(path))}: not readable JSON ({error})") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{shown(str(path))}: want a JSON object, got {type(content).__name__}")
    return content


def is_fakeavceleb(root: Path) -> bool:
    """``meta_data.csv`` beside the folders of the four types."""
    return (root / AV_META).is_file() and any((root / name).is_dir() for name in AV_TYPES)


def read_fakeavceleb(root: Path) -> list[Item]:
    """``meta_data.csv``; picture and sound have a label each, and clips of one speaker are one group.

    Clips that the list names twice are taken once.
    """
    return in_order({item.file.key: item for item in _av_items(root)}.values())


def _av_items(root: Path) -> Iterator[Item]:
    """In the published list the file name stands under ``path`` and the folder in the nameless column after it."""
    listed = root / AV_META
    with listed.open(newline="", encoding="utf-8-sig") as stream:
        names, *rows = list(csv.reader(stream)) or [[]]
    wanted = ("source", "method", "type", "path")
    if not set(wanted) <= set(names):
        raise ConfigError(
            f"{shown(str(listed))}: want the columns {', '.join(wanted)}, found {shown(', '.join(names))}"
        )
    for row in filter(None, rows):
        yield _av_item(root, listed, dict(zip(names, row, strict=False)), row[names.index("path") :])


def _av_item(root: Path, listed: Path, row: dict[str, str], place: list[str]) -> Item:
    labels = AV_TYPES.get(row.get("type", ""))
    if labels is None or len(place) < 2:
        raise ConfigError(f"{shown(str(listed))}: want a type of {', '.join(AV_TYPES)} and a folder, got {row!r:.120}")
    folder = PurePosixPath(place[1])
    folder = folder.relative_to(folder.parts[0]) if folder.parts[:1] == ("FakeAVCeleb",) else folder
    video, audio = labels
    kind = REENACTMENT if row["method"] == LIP_SYNC else FACE_SWAP
    if video or audio:
        said = Label(video, "FakeAVCeleb", kind if video else "voice only", row["method"], row["source"])
    else:
        said = Label(BONA_FIDE, "FakeAVCeleb", group=row["source"])
    return Item(labelled_file(root, below(root, str(folder / place[0])), said), "video", audio_label=audio)
