"""Words and signs of outcomes, the same on every page. A sign tells them apart without colour."""

from __future__ import annotations

from deepscreen.report import wording
from deepscreen.store.computations import State

KIND_WORDS = {"image": "image", "video": "video", "audio": "audio"}
# What of two files is near each other, by kind of stream.
ALIKE_WORDS = {"image": "the picture is alike", "video": "frames are alike", "audio": "the sound is alike"}
OUTCOME_WORDS: dict[str, str] = {
    **wording.OUTCOME_WORDS,
    State.QUEUED.value: "waiting",
    State.RUNNING.value: "being screened",
    State.CANCELLED.value: "cancelled",
    State.DONE.value: "done",
}
OUTCOME_SYMBOLS: dict[str, str] = {
    **wording.OUTCOME_SYMBOLS,
    State.QUEUED.value: "…",
    State.RUNNING.value: "◌",
    State.CANCELLED.value: "⊘",
    State.DONE.value: "●",
}
