"""The figures of speech: groups of whole sources, losses on the same recordings, false alarms with their interval."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import beta

from deepscreen.detectors.speech_features import VIEWS
from deepscreen.evaluation.metrics import min_dcf
from deepscreen.evaluation.protocols import system_folds
from deepscreen.training.audio_aims import (
    Facts,
    aims_table,
    false_alarms_by_language,
    groups_of_sources,
    read_facts,
    telephone_false_alarms,
)
from deepscreen.training.audio_rows import AudioRows
from deepscreen.training.labelled import LabelledFile
from deepscreen.training.launder_audio import MP3_32, TELEPHONE_CALL

N_ALL = max(view.stop for view in VIEWS.values())
FACTS = {"de": Facts("de", "16000"), "en": Facts("en", "44100"), "call": Facts("en", "8000")}


def rows(sources: list[str], labels: list[int], copies: list[int]) -> AudioRows:
    """Item k of the same place in a source and class is one recording, whatever its copy."""
    seen: dict[tuple[str, int, int], int] = {}
    files = []
    for source, label, copy in zip(sources, labels, copies, strict=True):
        n = seen[source, label, copy] = seen.get((source, label, copy), -1) + 1
        key = f"{source}/{label}/{n}"
        files.append(LabelledFile(Path(key), key, label, "kind", f"system {source}", source, key, None))
    n = len(files)
    empty = np.zeros((n, 1024), np.float32)
    return AudioRows(files, np.array(copies), empty[:, None], empty, np.zeros((n, N_ALL)), np.array(labels))


def facts(data: AudioRows) -> dict[str, Facts]:
    return {file.key: FACTS[file.source] for file in data.files}


def test_a_source_is_in_one_group_with_all_its_recordings() -> None:
    data = rows(["de", "de", "en", "call"], [0, 1, 0, 0], [0, 0, 0, 0])
    odd = facts(data) | {"de/1/0": Facts("en", "16000"), "de/0/0": Facts("de", "16000")}
    groups = groups_of_sources(data, facts(data))
    assert sorted(groups) == [
        "English, recorded above 16 kHz",
        "English, recorded up to 16 kHz",
        "other languages, recorded up to 16 kHz",
    ]
    assert sum(int(mask.sum()) for mask in groups.values()) == 4
    assert len({name for name, mask in groups_of_sources(data, odd).items() if mask[:2].any()}) == 1


def test_loss_by_laundering_is_that_of_the_same_recordings() -> None:
    # Two recordings of each class have a telephone copy that swaps their order; the other two are perfectly ordered.
    data = rows(["en"] * 12, [0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 1, 1], [0] * 8 + [1] * 4)
    logits = np.array([-1.0, -1, -1, -1, 1, 1, 1, 1, 1, 1, -1, -1])
    table = aims_table(data, logits, logits, np.full(12, np.nan), facts(data))
    assert table["EER, whole sources held out"]["value"] == 0
    assert table[f"EER lost by {TELEPHONE_CALL}"] == {"value": 1.0, "n_spoof": 2, "n_bona_fide": 2}
    assert f"EER lost by {MP3_32}" not in table
    assert "EER, unseen systems of seen sources" not in table


def test_false_alarms_on_telephone_speech_have_the_exact_interval() -> None:
    data = rows(["call"] * 30 + ["en"] * 20 + ["en"] * 10, [0] * 60, [0] * 30 + [0] * 20 + [1] * 10)
    lrs = np.where(np.arange(60) < 2, 1.2, 0.9)
    lrs[30:50] = 2.0  # wide-band recordings are not asked
    found = telephone_false_alarms(data, lrs, facts(data))
    assert (found["n_bona_fide"], found["value"]) == (40, 0.05)
    assert found["value_high"] == pytest.approx(beta.ppf(0.975, 3, 38), abs=1e-3)


def test_facts_come_from_optional_columns(tmp_path: Path) -> None:
    manifest = tmp_path / "m.csv"
    manifest.write_text("path,language\na.flac,de\n", encoding="utf-8")
    assert read_facts(manifest) == {"a.flac": Facts("de", "")}


def test_detection_cost_is_zero_where_classes_part_and_one_where_scores_say_nothing() -> None:
    labels = np.array([0, 0, 1, 1])
    assert min_dcf(labels, np.array([-2.0, -1.0, 1.0, 2.0])) == 0
    assert min_dcf(labels, np.zeros(4)) == 1


def test_detection_cost_by_hand() -> None:
    # Best: call the top three spoof. One of three bona fide is missed: 0.95 / 3, over min(0.95, 0.5).
    labels, scores = np.array([0, 0, 1, 0, 1]), np.array([0.0, 1.0, 2.0, 3.0, 4.0])
    assert min_dcf(labels, scores) == pytest.approx(min(0.95 / 3, 0.5 / 2) / 0.5)


def test_systems_are_held_out_whole_and_a_source_is_in_several_folds() -> None:
    data = rows(["en"] * 40, [0] * 40, [0] * 40)
    folds = system_folds(data.files, 4)
    assert len(set(folds.tolist())) == 4
    spoofs = rows(["en"] * 5 + ["de"] * 5, [1] * 10, [0] * 10)
    assert len(set(system_folds(spoofs.files, 4)[:5].tolist())) == 1


def test_false_alarms_by_language_count_bona_fide_recordings_as_they_are() -> None:
    data = rows(["de", "de", "en", "en", "en", "en", "en"], [0, 0, 0, 0, 0, 1, 0], [0, 0, 0, 0, 0, 0, 1])
    found = false_alarms_by_language(data, np.array([2.0, 0.5, 0.0, 0.0, 1.0, 9.0, 9.0]), facts(data))
    assert list(found) == ["en", "de"]
    assert (found["en"]["value"], found["en"]["n_bona_fide"]) == (pytest.approx(1 / 3, abs=1e-3), 3)
    assert (found["de"]["value"], found["de"]["n_bona_fide"]) == (0.5, 2)
    assert found["de"]["value_high"] == pytest.approx(beta.ppf(0.975, 2, 1), abs=1e-3)
