"""All inspectors of a file, in the order in which their findings stand in the record."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from deepscreen.findings.claims import metadata_claims
from deepscreen.findings.content_credentials import content_credentials
from deepscreen.findings.finding import Finding, finding
from deepscreen.findings.generators import generator_traces
from deepscreen.findings.jpeg_tables import jpeg_tables
from deepscreen.findings.mp4 import mp4_structure
from deepscreen.findings.specimen import Specimen
from deepscreen.findings.tail import trailing_data

MAX_FINDINGS_EACH = 12
Inspector = Callable[[Specimen], Iterable[Finding]]
INSPECTORS: dict[str, Inspector] = {
    "content credentials": content_credentials,
    "generator traces": generator_traces,
    "metadata": metadata_claims,
    "JPEG tables": jpeg_tables,
    "MP4 boxes": mp4_structure,
    "file end": trailing_data,
}


def inspect(specimen: Specimen) -> Iterator[Finding]:
    """What every inspector finds."""
    for name, inspector in INSPECTORS.items():
        yield from guarded(name, lambda inspector=inspector: inspector(specimen))  # type: ignore[misc]


def guarded(name: str, look: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """The findings of *look*; one inspector that fails on hostile bytes does not silence the others, and says so."""
    made = 0
    try:
        for found in look():
            yield found
            made += 1
            if made == MAX_FINDINGS_EACH:
                return
    except (MemoryError, BrokenPipeError, ConnectionError):
        raise
    except Exception as error:  # parsers of hostile bytes raise almost anything
        yield not_inspected(name, type(error).__name__)


def not_inspected(name: str, reason: str) -> Finding:
    """That something could not be looked at: its absence from the list then says nothing."""
    return finding(
        "not_inspected",
        f"The file's {name} could not be looked at.",
        source="inspection",
        severity="notice",
        facts={"inspector": name, "reason": reason},
    )
