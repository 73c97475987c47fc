"""What was done to a file, in the words of SOLVE-IT: a public catalogue of the techniques of digital forensics.

*Source:* github.com/SOLVE-IT-DF/solve-it, ``data/techniques`` at commit 02611ca; ids and names are its own. It lists no
weaknesses of these techniques yet (two are proposed, in its issues 519 and 520), so none are given here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from deepscreen.findings.finding import Finding
from deepscreen.record import ModalityName, ModalityResult, Screening

CATALOGUE_URL = "https://github.com/SOLVE-IT-DF/solve-it/blob/main/data/techniques/{}.json"
READ_EXIF, HASH_FILE = "DFT-1100", "DFT-1186"
CLASSIFY: Mapping[ModalityName, str] = MappingProxyType({"image": "DFT-1176", "video": "DFT-1106", "audio": "DFT-1194"})
NAMES: Mapping[str, str] = MappingProxyType(
    {
        READ_EXIF: "EXIF data extraction",
        "DFT-1106": "Classify if a video is potentially synthetically generated",
        "DFT-1176": "Classify if an image is potentially synthetically generated",
        HASH_FILE: "Compute per-file hash values",
        "DFT-1194": "Classify if audio is potentially synthetically generated",
    }
)
# What the look at the metadata of a picture leaves, whichever it found.
EXIF_CODES = frozenset({"metadata_claims", "no_metadata", "exif_unreadable"})


def techniques_applied(
    results: Mapping[ModalityName, ModalityResult], findings: Iterable[Finding]
) -> tuple[str, ...]:  # fmt: skip
    """Ids of the techniques that were carried out, in order. Of a modality that gave no reading there is none."""
    applied = {HASH_FILE} | {CLASSIFY[name] for name, result in results.items() if result.readings}
    if "image" in results and any(finding.code in EXIF_CODES for finding in findings):
        applied.add(READ_EXIF)
    return tuple(sorted(applied))


def techniques_of(screening: Screening) -> tuple[str, ...]:
    """The techniques of a record; of one that was made before records named them, by what it holds."""
    return screening.solve_it_techniques or techniques_applied(screening.modalities, screening.findings)
