"""Every reader on a tiny made-up tree of its layout, and what it says when the layout does not fit."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from deepscreen.errors import ConfigError
from deepscreen.evaluation.datasets.item import Item
from deepscreen.evaluation.datasets.readers import READERS, read_items, reader_for


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def write(root: Path, name: str, lines: Iterable[str]) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def read(path: Path, expected: str) -> dict[str, Item]:
    """Items by key, found by the layout alone."""
    reader = reader_for(path)
    assert reader.name == expected
    items = read_items(path, reader)
    assert [i.file.key for i in items] == sorted(i.file.key for i in items)
    return {item.file.key: item for item in items}


def labels(items: dict[str, Item]) -> dict[str, int]:
    return {key: item.file.label for key, item in items.items()}


def test_manifest_of_the_fits(tmp_path: Path) -> None:
    write(
        tmp_path,
        "manifest.csv",
        [
            "path,label,family,system,source_repo,group",
            "b.png,fake,gan_face,g1,s1,x",
            "a.mp4,bonafide,bonafide,bonafide,s2,",
        ],
    )
    items = read(tmp_path, "csv")
    assert read(tmp_path / "manifest.csv", "csv") == items
    assert labels(items) == {"a.mp4": 0, "b.png": 1}
    assert (items["a.mp4"].modality, items["b.png"].modality) == ("video", "image")
    b = items["b.png"].file
    assert (b.path, b.kind, b.generator, b.source, b.group) == (tmp_path / "b.png", "gan_face", "g1", "s1", "x")
    assert items["a.mp4"].file.generator == ""


def test_csv_needs_only_paths_and_labels(tmp_path: Path) -> None:
    write(tmp_path, "list.csv", ["path,label", "x.png,Fake", "y.png,bona-fide"])
    assert labels(read(tmp_path / "list.csv", "csv")) == {"x.png": 1, "y.png": 0}


def test_csv_takes_what_else_is_known(tmp_path: Path) -> None:
    header = "path,label,source,generator,group,audio_label,quality"
    write(tmp_path, "list.csv", [header, "x.mp4,0,tv,,g,1,c40", "y.mp4,1,web,sora,,,"])
    items = read(tmp_path / "list.csv", "csv")
    x, y = items["x.mp4"], items["y.mp4"]
    assert (x.audio_label, x.quality, x.file.group, x.file.source) == (1, "c40", "g", "tv")
    assert (y.audio_label, y.quality, y.file.generator) == (None, "", "sora")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["path,label", "a.png,maybe", "b.png,real"], r"a\.png has label 'maybe'; want one of real"),
        (["path,label", "a.png,fake", "a.png,real"], r"a\.png: is listed twice"),
        (["path,label", "a.png,fake"], r"want files of both classes, got 1 files, all spoof"),
        (["name,label", "a.png,fake"], r"no layout that is known"),
    ],
)
def test_csv_says_what_is_wrong(tmp_path: Path, lines: list[str], message: str) -> None:
    write(tmp_path, "list.csv", lines)
    with pytest.raises(ConfigError, match=message):
        read(tmp_path / "list.csv", "csv")


@pytest.mark.parametrize(("real", "fake"), [("real", "fake"), ("bona_fide", "spoof"), ("bonafide", "fake")])
def test_class_folders(tmp_path: Path, real: str, fake: str) -> None:
    touch(tmp_path, f"{real}/a.jpg", f"{real}/phone/b.jpg", f"{fake}/gan/c.png")
    items = read(tmp_path, "folder")
    assert labels(items) == {f"{real}/a.jpg": 0, f"{real}/phone/b.jpg": 0, f"{fake}/gan/c.png": 1}
    assert [item.file.source for item in items.values()] == (
        [real, f"{real}/phone", f"{fake}/gan"] if real < fake else [f"{fake}/gan", real, f"{real}/phone"]
    )


def test_faceforensics_ties_both_originals_to_a_swap(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "original_sequences/youtube/c23/videos/000.mp4",
        "original_sequences/youtube/c23/videos/003.mp4",
        "original_sequences/actors/c23/videos/01__kitchen_pan.mp4",
        "manipulated_sequences/Deepfakes/c23/videos/000_003.mp4",
        "manipulated_sequences/Deepfakes/c23/videos/003_000.mp4",
        "manipulated_sequences/NeuralTextures/c40/videos/000_003.mp4",
        "manipulated_sequences/DeepFakeDetection/c23/videos/01_02__kitchen_pan__ABCDEFGH.mp4",
    )
    items = read(tmp_path, "faceforensics++")
    youtube = {item.file.group for key, item in items.items() if "kitchen" not in key}
    assert youtube == {"000-003"}
    assert {item.file.group for key, item in items.items() if "kitchen" in key} == {"actor 01"}
    swapped = items["manipulated_sequences/NeuralTextures/c40/videos/000_003.mp4"]
    assert (swapped.file.label, swapped.file.generator, swapped.file.kind) == (1, "NeuralTextures", "reenactment")
    assert (swapped.quality, swapped.audio_label) == ("c40", None)


def test_faceforensics_refuses_a_method_that_it_does_not_know(tmp_path: Path) -> None:
    touch(tmp_path, "manipulated_sequences/Surprise/c23/videos/000_003.mp4")
    with pytest.raises(ConfigError, match="want one of the methods Deepfakes"):
        read(tmp_path, "faceforensics++")


CELEB = ("Celeb-real/id0_0000.mp4", "YouTube-real/00000.mp4", "Celeb-synthesis/id0_id1_0000.mp4")


def test_celeb_df_without_the_list_is_the_whole_set(tmp_path: Path) -> None:
    touch(tmp_path, *CELEB)
    items = read(tmp_path, "celeb-df-v2")
    assert labels(items) == dict(zip(CELEB, (0, 0, 1), strict=True))
    assert [items[key].file.group for key in CELEB] == ["id0", "", "id0"]


def test_celeb_df_with_the_list_is_the_test_videos(tmp_path: Path) -> None:
    touch(tmp_path, *CELEB, "Celeb-real/id1_0000.mp4")
    write(tmp_path, "List_of_testing_videos.txt", ["1 YouTube-real/00000.mp4", "0 Celeb-synthesis/id0_id1_0000.mp4"])
    assert labels(read(tmp_path, "celeb-df-v2")) == {CELEB[1]: 0, CELEB[2]: 1}


def test_celeb_df_refuses_a_list_of_the_other_polarity(tmp_path: Path) -> None:
    touch(tmp_path, *CELEB)
    write(tmp_path, "List_of_testing_videos.txt", ["0 YouTube-real/00000.mp4"])
    with pytest.raises(ConfigError, match=r"want 1 before Celeb-real/"):
        read(tmp_path, "celeb-df-v2")


@pytest.mark.parametrize("part", ["", "dfdc_train_part_0/"])
def test_dfdc_groups_a_forgery_with_its_original(tmp_path: Path, part: str) -> None:
    facts = {
        "a.mp4": {"label": "FAKE", "split": "train", "original": "b.mp4"},
        "b.mp4": {"label": "REAL", "split": "train"},
    }
    write(tmp_path, f"{part}metadata.json", [json.dumps(facts)])
    items = read(tmp_path, "dfdc")
    assert labels(items) == {f"{part}a.mp4": 1, f"{part}b.mp4": 0}
    assert {item.file.group for item in items.values()} == {"b.mp4"}


def test_dfdc_refuses_other_json(tmp_path: Path) -> None:
    write(tmp_path, "metadata.json", ['{"a.mp4": {"label": "PERHAPS"}}'])
    with pytest.raises(ConfigError, match=r"a\.mp4: want a label REAL or FAKE"):
        read(tmp_path, "dfdc")


AV_HEADER = "source,target1,target2,method,category,type,race,gender,path,"


def av_row(kind: str, method: str, name: str) -> str:
    return f"id1,-,-,{method},A,{kind},African,men,{name},FakeAVCeleb/{kind}/African/men/id1"


def test_fakeavceleb_has_a_label_for_picture_and_sound(tmp_path: Path) -> None:
    kinds = {
        "RealVideo-RealAudio": "real",
        "RealVideo-FakeAudio": "rtvc",
        "FakeVideo-RealAudio": "fsgan",
        "FakeVideo-FakeAudio": "wav2lip",
    }
    rows = [av_row(kind, method, "00109.mp4") for kind, method in kinds.items()]
    write(tmp_path, "meta_data.csv", [AV_HEADER, *rows, rows[-1]])
    touch(tmp_path, *(f"{kind}/African/men/id1/00109.mp4" for kind in kinds))
    items = read(tmp_path, "fakeavceleb")
    found = {key.split("/")[0]: (i.file.label, i.audio_label) for key, i in items.items()}
    assert list(found) == sorted(kinds)
    assert found == {
        "RealVideo-RealAudio": (0, 0),
        "RealVideo-FakeAudio": (0, 1),
        "FakeVideo-RealAudio": (1, 0),
        "FakeVideo-FakeAudio": (1, 1),
    }
    assert all(item.file.path.is_file() for item in items.values())


def test_list_cannot_lead_out_of_the_data_set(tmp_path: Path) -> None:
    row = "id1,-,-,real,A,RealVideo-RealAudio,African,men,x.mp4,FakeAVCeleb/../../secrets"
    write(tmp_path, "meta_data.csv", [AV_HEADER, row])
    (tmp_path / "RealVideo-RealAudio").mkdir()
    with pytest.raises(ConfigError, match="leads out of"):
        read(tmp_path, "fakeavceleb")


@pytest.mark.parametrize("depth", ["", "imagenet_midjourney/", "Midjourney/imagenet_midjourney/"])
def test_genimage_at_every_depth(tmp_path: Path, depth: str) -> None:
    root = tmp_path / "imagenet_midjourney"  # what stands above the splits names the generator
    touch(root, f"{depth}val/ai/1.png", f"{depth}val/nature/1.JPEG", f"{depth}train/ai/2.png")
    items = read(root, "genimage")
    assert labels(items) == {f"{depth}val/ai/1.png": 1, f"{depth}val/nature/1.JPEG": 0, f"{depth}train/ai/2.png": 1}
    assert items[f"{depth}val/ai/1.png"].file.generator == "imagenet_midjourney"
    assert items[f"{depth}val/nature/1.JPEG"].file.generator == ""


def test_df40_takes_one_frame_of_each_test_video(tmp_path: Path) -> None:
    frames = {n: [f"datasets\\DF40\\{n}\\frames\\071\\{k:03}.png" for k in range(3)] for n in ("simswap", "real")}
    content = {
        "simswap_ff": {
            "simswap_Fake": {"test": {"071": {"label": "simswap_Fake", "frames": frames["simswap"]}}, "train": {}},
            "FF-real": {"test": {"c23": {"071": {"label": "FF-real", "frames": frames["real"]}}}},
        }
    }
    write(tmp_path, "dataset_json/simswap_ff.json", [json.dumps(content)])
    touch(tmp_path, "simswap/frames/071/001.png")
    items = read(tmp_path, "df40")
    assert labels(items) == {"simswap/frames/071/001.png": 1, "datasets/DF40/real/frames/071/001.png": 0}
    assert items["simswap/frames/071/001.png"].file.generator == "simswap_ff"


def test_asvspoof2019_takes_the_parts_that_are_there(tmp_path: Path) -> None:
    protocols = "LA/ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm."
    lines = ["LA_0079 LA_E_1 - - bonafide", "LA_0080 LA_E_2 - A07 spoof"]
    write(tmp_path, f"{protocols}eval.trl.txt", lines)
    write(tmp_path, f"{protocols}train.trn.txt", ["LA_0001 LA_T_1 - A01 spoof"])
    (tmp_path / "LA/ASVspoof2019_LA_eval/flac").mkdir(parents=True)
    items = read(tmp_path, "asvspoof2019")
    assert labels(items) == {f"LA/ASVspoof2019_LA_eval/flac/LA_E_{k}.flac": k - 1 for k in (1, 2)}
    assert [i.file.generator for i in items.values()] == ["", "A07"]
    assert {i.modality for i in items.values()} == {"audio"}
    assert labels(read(tmp_path / "LA", "asvspoof2019"))


def test_asvspoof_without_sounds_says_where_they_belong(tmp_path: Path) -> None:
    write(tmp_path, "ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.eval.trl.txt", ["s f - - bonafide"])
    with pytest.raises(ConfigError, match="want ASVspoof2019_LA_eval/flac"):
        read(tmp_path, "asvspoof2019")


def test_protocol_line_that_is_too_short_is_named(tmp_path: Path) -> None:
    write(tmp_path, "ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.eval.trl.txt", ["a b - - spoof", "a b spoof"])
    (tmp_path / "ASVspoof2019_LA_eval/flac").mkdir(parents=True)
    with pytest.raises(ConfigError, match="line 2: want 5 columns, got 3"):
        read(tmp_path, "asvspoof2019")


def test_asvspoof2021_scores_the_phase_eval_only(tmp_path: Path) -> None:
    lines = [
        "LA_0009 LA_E_1 alaw ita_tx A07 spoof notrim eval",
        "LA_0007 LA_E_2 none none bonafide bonafide notrim eval",
        "LA_0007 LA_E_3 none none bonafide bonafide notrim progress",
    ]
    write(tmp_path, "keys/LA/CM/trial_metadata.txt", lines)
    (tmp_path / "ASVspoof2021_LA_eval/flac").mkdir(parents=True)
    items = read(tmp_path, "asvspoof2021")
    assert labels(items) == {"ASVspoof2021_LA_eval/flac/LA_E_1.flac": 1, "ASVspoof2021_LA_eval/flac/LA_E_2.flac": 0}
    assert [i.quality for i in items.values()] == ["alaw", "none"]


def test_asvspoof5_reads_attack_label_and_codec(tmp_path: Path) -> None:
    lines = ["E_1 E_0001 F C05 1 E_09 AC1 A20 spoof -", "E_2 E_0002 M - - - - bonafide bonafide -"]
    write(tmp_path, "ASVspoof5_protocols/ASVspoof5.eval.track_1.tsv", lines)
    (tmp_path / "flac_E_eval").mkdir()
    items = read(tmp_path, "asvspoof5")
    spoof, bona_fide = items["flac_E_eval/E_0001.flac"], items["flac_E_eval/E_0002.flac"]
    assert (spoof.file.label, spoof.file.generator, spoof.quality) == (1, "A20", "C05")
    assert (bona_fide.file.label, bona_fide.file.generator, bona_fide.quality) == (0, "", "no codec")


def test_in_the_wild_groups_by_speaker(tmp_path: Path) -> None:
    write(tmp_path, "meta.csv", ["file,speaker,label", "0.wav,Alec Guinness,spoof", "1.wav,Alec Guinness,bona-fide"])
    items = read(tmp_path, "in-the-wild")
    assert labels(items) == {"0.wav": 1, "1.wav": 0}
    assert len({item.file.group for item in items.values()}) == 1


def test_unknown_layout_names_all_that_are_known(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")
    with pytest.raises(ConfigError) as raised:
        reader_for(tmp_path)
    assert all(reader.name in str(raised.value) for reader in READERS)


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_every_reader_says_what_it_wants_where(tmp_path: Path, reader: object) -> None:
    with pytest.raises(ConfigError, match=rf"no {reader.name.replace('+', '[+]')} layout; want "):
        reader_for(tmp_path, reader.name)


def test_reader_that_there_is_not(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="reader 'kaggle'; want auto or one of csv"):
        reader_for(tmp_path, "kaggle")
