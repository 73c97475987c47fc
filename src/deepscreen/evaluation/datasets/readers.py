"""The table of readers: each data set's name, how its layout is known, and what reads it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deepscreen.errors import ConfigError
from deepscreen.evaluation.datasets import picture_sets, speech_sets, tables, video_sets
from deepscreen.evaluation.datasets.item import Item
from deepscreen.report.wording import shown

AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Reader:
    """One layout. ``layout`` says in words what is expected where."""

    name: str
    recognises: Callable[[Path], bool]
    read: Callable[[Path], list[Item]]
    layout: str


# The first that recognises a layout reads it: those with names of their own before those that fit many folders.
READERS = (
    Reader("csv", tables.is_csv, tables.read_csv, "CSV with path, label[, source, generator, kind, group, ...]"),
    Reader(
        "faceforensics++",
        video_sets.is_faceforensics,
        video_sets.read_faceforensics,
        "original_sequences/ and manipulated_sequences/ with .../videos/*.mp4",
    ),
    Reader(
        "celeb-df-v2",
        video_sets.is_celeb_df,
        video_sets.read_celeb_df,
        "Celeb-real/, YouTube-real/, Celeb-synthesis/ and, for the test videos only, List_of_testing_videos.txt",
    ),
    Reader(
        "fakeavceleb",
        video_sets.is_fakeavceleb,
        video_sets.read_fakeavceleb,
        "meta_data.csv beside RealVideo-RealAudio/ and the other three",
    ),
    Reader("dfdc", video_sets.is_dfdc, video_sets.read_dfdc, "metadata.json in the folder or in each part below it"),
    Reader("df40", picture_sets.is_df40, picture_sets.read_df40, "dataset_json/*.json and the frames that they name"),
    Reader("genimage", picture_sets.is_genimage, picture_sets.read_genimage, "GENERATOR/(train|val)/(ai|nature)/"),
    Reader(
        "asvspoof2019",
        speech_sets.is_asvspoof2019,
        speech_sets.read_asvspoof2019,
        "ASVspoof2019_LA_cm_protocols/ and ASVspoof2019_LA_eval/flac/ (or PA; or train, dev)",
    ),
    Reader(
        "asvspoof2021",
        speech_sets.is_asvspoof2021,
        speech_sets.read_asvspoof2021,
        "keys/LA/CM/trial_metadata.txt and ASVspoof2021_LA_eval/flac/ (or DF)",
    ),
    Reader(
        "asvspoof5",
        speech_sets.is_asvspoof5,
        speech_sets.read_asvspoof5,
        "ASVspoof5.eval.track_1.tsv and flac_E_eval/ (or train and flac_T, dev and flac_D)",
    ),
    Reader(
        "in-the-wild",
        speech_sets.is_in_the_wild,
        speech_sets.read_in_the_wild,
        "meta.csv (file,speaker,label) and sounds",
    ),
    Reader("folder", tables.is_class_folders, tables.read_class_folders, "real|bona_fide|bonafide/ and fake|spoof/"),
)


def reader_for(path: Path, name: str = AUTO) -> Reader:
    """The reader of that name, or with "auto" the first that recognises the layout of *path*.

    Raises ConfigError that says what was expected where.
    """
    if name != AUTO:
        named = next((reader for reader in READERS if reader.name == name), None)
        if named is None:
            raise ConfigError(f"reader {shown(name)!r}; want {AUTO} or one of {', '.join(r.name for r in READERS)}")
        if not named.recognises(path):
            raise ConfigError(f"{shown(str(path))}: no {named.name} layout; want {named.layout}")
        return named
    for reader in READERS:
        if reader.recognises(path):
            return reader
    layouts = "; ".join(f"{reader.name}: {reader.layout}" for reader in READERS)
    raise ConfigError(f"{shown(str(path))}: no layout that is known. Known are {layouts}")


def read_items(path: Path, reader: Reader) -> list[Item]:
    """All labelled files, in order of their key; raises ConfigError for none, or for one class only."""
    items = reader.read(path)
    labels = {item.file.label for item in items} | {i.audio_label for i in items if i.audio_label is not None}
    if labels != {0, 1}:
        found = f"{len(items)} files" + ("" if not items else ", all bona fide" if labels == {0} else ", all spoof")
        raise ConfigError(f"{shown(str(path))}: want files of both classes, got {found} (layout {reader.name})")
    return items
