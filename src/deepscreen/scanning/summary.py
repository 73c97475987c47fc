"""Counts of a scan that add up: screened, not screened, failed and known files are all that were seen."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from deepscreen.record import Provenance
from deepscreen.scanning.journal import Journal
from deepscreen.scanning.rows import Outcome, Reason

REASON_WORDS = {
    Reason.NO_MEDIA: "no media",
    Reason.CONTAINER: "containers, whose files are counted",
    Reason.SEGMENT: "further parts of images",
    Reason.NOTHING_SCORED: "nothing in them could be scored",
}


@dataclass(frozen=True, slots=True)
class Summary:
    """How many files there were of which kind. ``repeats`` and ``on_known_list`` are among them, not beside them."""

    outcomes: dict[Outcome, int]
    reasons: dict[Reason, int]
    verdicts: dict[str, int]
    kinds: dict[str, int]
    repeats: int
    on_known_list: int
    provenance: Provenance

    @property
    def seen(self) -> int:
        """All files: those of the folder and those within containers."""
        return sum(self.outcomes.values())

    @property
    def failed(self) -> int:
        """Files that something went wrong with."""
        return self.outcomes[Outcome.FAILED]

    def as_json(self) -> str:
        """The summary as it is written beside the lists."""
        told: dict[str, Any] = {
            "files_seen": self.seen,
            **{str(outcome): self.outcomes[outcome] for outcome in Outcome},
            "not_screened_because": {str(reason): n for reason, n in self.reasons.items()},
            "verdicts": self.verdicts,
            "media": self.kinds,
            "same_content_as_another": self.repeats,
            "on_the_list_of_known_files": self.on_known_list,
            "provenance": self.provenance.model_dump(mode="json"),
        }
        return json.dumps(told, indent=2, sort_keys=True) + "\n"

    def sentence(self) -> str:
        """``12 files: 8 screened, 3 not screened (2 no media, 1 ...), 1 failed.``"""
        reasons = ", ".join(f"{n} {REASON_WORDS[reason]}" for reason, n in self.reasons.items())
        parts = [
            f"{self.outcomes[Outcome.SCREENED]} screened",
            f"{self.outcomes[Outcome.NOT_SCREENED]} not screened" + (f" ({reasons})" if reasons else ""),
            f"{self.outcomes[Outcome.FAILED]} failed",
        ]
        if self.outcomes[Outcome.KNOWN]:
            parts.append(f"{self.outcomes[Outcome.KNOWN]} known and skipped")
        return f"{self.seen} files: {', '.join(parts)}."


def summary_of(journal: Journal, provenance: Provenance) -> Summary:
    """The counts of all that is done."""
    outcomes: Counter[Outcome] = Counter()
    reasons: Counter[Reason] = Counter()
    verdicts: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    for outcome, reason, kind, verdict, number in journal.counts():
        outcomes[outcome] += number
        if reason and outcome == Outcome.NOT_SCREENED:
            reasons[reason] += number
        if verdict:
            verdicts[verdict] += number
            kinds[kind] += number
    repeats, known = journal.marked()
    return Summary(
        {outcome: outcomes[outcome] for outcome in Outcome},
        dict(reasons),
        dict(verdicts),
        dict(kinds),
        repeats,
        known,
        provenance,
    )
