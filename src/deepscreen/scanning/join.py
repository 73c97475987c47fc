"""The shards of one scan, each made by a machine of its own, become one: as if one machine had scanned it all.

A content that lies in several shards was screened in each. It keeps the result of the file that a single scan would
have come to first; the others become its copies, and containers that are copies lose the files listed below them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from deepscreen.errors import BlobDamaged, ConfigError
from deepscreen.kept import KeptResults
from deepscreen.record import Provenance
from deepscreen.report.wording import shown
from deepscreen.scanning.journal import Journal
from deepscreen.scanning.lists import EVIDENCE_NAME, SUMMARY_NAME, told_of_results, write_lists
from deepscreen.scanning.run import JOURNAL_NAME, SHARD_FACT, only_one
from deepscreen.scanning.similar import similar_groups
from deepscreen.scanning.summary import Summary, summary_of


@dataclass(frozen=True, slots=True)
class _Part:
    """The results of one shard."""

    folder: Path
    journal: Journal
    provenance: Provenance

    @property
    def name(self) -> str:
        return shown(str(self.folder))


def join(folders: Sequence[Path], out_dir: Path, *, with_parquet: bool) -> Summary:
    """Joins the results in *folders*, which are only read, into *out_dir*, which must be empty or not there.

    Raises ConfigError where they are not all shards of one scan, each ended; BlobDamaged where a result in them is not
    whole; StorageFull.
    """
    if out_dir.exists() and any(out_dir.iterdir()):
        raise ConfigError(f"{shown(str(out_dir))}: is not empty; choose another --out")
    with ExitStack() as stack:
        parts = [_opened(folder, stack) for folder in folders]
        _check_are_one_scan(parts)
        out_dir.mkdir(parents=True, exist_ok=True)
        stack.enter_context(only_one(out_dir))
        journal = stack.enter_context(closing(Journal(out_dir / JOURNAL_NAME)))
        journal.check_facts({**parts[0].journal.facts(), SHARD_FACT: None}, out_dir)
        for part in parts:
            journal.take_all(part.journal, part.name)
        journal.join_contents()
        with told_of_results():
            for part in parts:
                _copy_evidence(part, journal, out_dir / EVIDENCE_NAME)
            summary = summary_of(journal, parts[0].provenance)
            write_lists(journal, out_dir, summary, similar_groups(journal), with_parquet=with_parquet)
        return summary


def _opened(folder: Path, stack: ExitStack) -> _Part:
    try:
        summary = json.loads((folder / SUMMARY_NAME).read_text(encoding="utf-8"))
        provenance = Provenance.model_validate(summary["provenance"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{shown(str(folder))}: holds no results of a scan that has ended") from error
    if not (folder / JOURNAL_NAME).is_file():
        raise ConfigError(f"{shown(str(folder))}: its journal ({JOURNAL_NAME}) is not there")
    stack.enter_context(only_one(folder))
    journal = stack.enter_context(closing(Journal(folder / JOURNAL_NAME)))
    if pending := journal.pending_count():
        raise ConfigError(f"{shown(str(folder))}: {pending} files are still to be done; run that scan to its end")
    return _Part(folder, journal, provenance)


def _check_are_one_scan(parts: Sequence[_Part]) -> None:
    first = parts[0].journal.facts()
    for part in parts[1:]:
        facts = part.journal.facts()
        differ = sorted(name for name in first if name != SHARD_FACT and facts.get(name) != first[name])
        if differ:
            raise ConfigError(f"{part.name}: was made with another {', '.join(differ)} than {parts[0].name}")
    told: list[tuple[int, int]] = []
    for part in parts:
        shard = part.journal.facts().get(SHARD_FACT)
        if shard is None:
            raise ConfigError(f"{part.name}: is no shard of a scan (it was made without --shard)")
        told.append((shard[0], shard[1]))
    told.sort()
    of = told[0][1]
    if told != [(number, of) for number in range(1, of + 1)]:
        given = ", ".join(f"{number}/{of}" for number, of in told)
        raise ConfigError(f"want every shard of one scan, 1/{of} to {of}/{of}, each once; got {given}")


def _copy_evidence(part: _Part, journal: Journal, target: Path) -> None:
    """The results of the contents whose first file is the part's, proven on their way."""
    kept = KeptResults(part.folder / EVIDENCE_NAME, part.provenance)
    for sha256 in part.journal.contents():
        first = journal.find_content(sha256)
        if first is None or not part.journal.is_done(first.way):
            continue
        if kept.find(sha256) is None:
            raise BlobDamaged(f"{part.name}: the result of {sha256} is not whole; run that scan again")
        shutil.copytree(part.folder / EVIDENCE_NAME / sha256, target / sha256)
