"""Public sets of generated and manipulated pictures: GenImage and DF40."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from deepscreen.errors import ConfigError
from deepscreen.evaluation.datasets.item import BONA_FIDE, SPOOF, Item, Label, in_order, labelled_file
from deepscreen.evaluation.datasets.video_sets import read_json
from deepscreen.report.wording import shown

SPLITS = ("train", "val")
CLASSES = {"ai": SPOOF, "nature": BONA_FIDE}
# Below the set's root, below one generator's folder, and as the archives unpack (GENERATOR/imagenet_ai_...).
GENIMAGE_DEPTHS = ("", "*/", "*/*/")
DF40_LISTS = "dataset_json"


def is_genimage(root: Path) -> bool:
    """``ai`` and ``nature`` below ``train`` or ``val``."""
    return any(True for _ in _genimage_folders(root))


def read_genimage(root: Path) -> list[Item]:
    """``[GENERATOR/][FOLDER/](train|val)/(ai|nature)/*``; the folder that holds the splits names the generator."""
    return in_order(item for folder in _genimage_folders(root) for item in _genimage_items(root, folder))


def _genimage_folders(root: Path) -> Iterator[Path]:
    for depth in GENIMAGE_DEPTHS:
        for split in SPLITS:
            for name in CLASSES:
                yield from (folder for folder in root.glob(f"{depth}{split}/{name}") if folder.is_dir())


def _genimage_items(root: Path, folder: Path) -> Iterator[Item]:
    generator = folder.parent.parent.name
    kind = "gan_general" if "biggan" in generator.lower() else "diffusion_general"
    if CLASSES[folder.name] == SPOOF:
        said = Label(SPOOF, f"GenImage {generator}", kind, generator)
    else:
        said = Label(BONA_FIDE, f"GenImage {generator}", "camera_photo_general")
    for path in folder.iterdir():
        yield Item(labelled_file(root, path, said), "image")


def is_df40(root: Path) -> bool:
    """The set's lists in ``dataset_json``."""
    return any((root / DF40_LISTS).glob("*.json"))


def read_df40(root: Path) -> list[Item]:
    """``dataset_json/*.json``: ``{SET: {LABEL: {SPLIT: [{LEVEL:] {VIDEO: {"label", "frames": [...]}}}}}}``, test split.

    The middle frame of each video is taken; videos of one name are one group. A label that ends in "real" is bona
    fide. Frame paths may have leading folders that the copy on disk lacks.
    """
    found: dict[str, Item] = {}
    for listed in sorted((root / DF40_LISTS).glob("*.json")):
        for name, classes in read_json(listed).items():
            for label, splits in _mapping(classes, listed).items():
                test = _mapping(splits, listed).get("test", {})
                items = (_df40_item(root, name, label, v, frames) for v, frames in _videos(test, listed))
                found.update({item.file.key: item for item in items})  # the bona fide are in many lists
    return in_order(found.values())


def _videos(node: object, listed: Path) -> Iterator[tuple[str, list[str]]]:
    """Name and frames of every video, with or without a level of compression between."""
    for name, below in _mapping(node, listed).items():
        frames = _mapping(below, listed).get("frames")
        if isinstance(frames, list):
            yield from [(name, [str(frame) for frame in frames])] if frames else []
        else:
            yield from _videos(below, listed)


def _mapping(node: object, listed: Path) -> Mapping[str, object]:
    if not isinstance(node, dict):
        raise ConfigError(f"{shown(str(listed))}: want a JSON object at every level above the frames, got {node!r:.60}")
    return node


def _df40_item(root: Path, name: str, label: str, video: str, frames: list[str]) -> Item:
    frame = sorted(frames)[len(frames) // 2]
    if label.lower().endswith("real"):
        said = Label(BONA_FIDE, f"DF40 {label}", "camera_video_face_crop", group=f"{label} {video}")
    else:
        said = Label(SPOOF, f"DF40 {name}", "face_manipulation", name, f"{name} {video}")
    return Item(labelled_file(root, _on_disk(root, frame), said), "image")


def _on_disk(root: Path, stored: str) -> Path:
    """*stored* without as many leading folders as it takes; as it stands where nothing fits."""
    parts = [part for part in stored.replace("\\", "/").split("/") if part not in ("", ".")]
    if ".." in parts:
        raise ConfigError(f"{shown(stored)}: leads out of {shown(str(root))}")
    candidates = (root.joinpath(*parts[k:]) for k in range(len(parts)))
    return next((path for path in candidates if path.is_file()), root.joinpath(*parts))
