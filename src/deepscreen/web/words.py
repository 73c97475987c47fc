"""Words and signs of outcomes, the same on every page. A sign tells them apart without colour."""

from __future__ import annotations

from deepscreen.report import wording
from deepscreen.store.computations import State

KIND_WORDS = {"image": "image", "video": "video", "audio": "audio"}
# What a verdict over all modalities says, as the sentence of the record begins; each modality is told of by itself.
OVERALL_WORDS = {
    "spoof_supported": "At least one modality supports that the file is synthetic or manipulated.",
    "bona_fide_supported": "Every modality that could be screened supports that the file is authentic.",
    "inconclusive": "The evidence does not decide between authentic and synthetic or manipulated.",
    "not_screened": "Nothing in the file could be screened.",
}
# The keys of the console, by where they work.
KEY_HELP = (
    ("Everywhere", (("/", "search"), ("u", "back to the list"), ("?", "these keys"))),
    (
        "Lists",
        (
            ("j k", "next, item before"), ("Enter", "view it"), ("x", "choose it"),
            ("c", "compare the two chosen"),
        ),
    ),
    ("Item", (("j k", "next, item before"),)),
    (
        "Picture",
        (
            ("← ↑ → ↓", "move it"), ("+ -", "zoom"), ("0", "fit it"), ("1", "show each pixel"),
            ("h", "heatmap off and on"),
        ),
    ),
    (
        "Clip or recording",
        (
            (", .", "one frame, or a tenth of a second"), ("i o", "begin and end the stretch here"),
            ("l", "repeat the stretch"), ("Space", "play"),
        ),
    ),
)  # fmt: skip
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
