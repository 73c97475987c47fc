"""MP4 and MOV: the order of boxes, edit lists, dates, sizes and the encoder's signature in the picture data.

*Source:* ISO/IEC 14496-12:2022 (boxes), 8.2 to 8.8; x264 writes its settings into an unregistered SEI message.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from deepscreen.findings.boxes import Box
from deepscreen.findings.finding import Finding, finding
from deepscreen.findings.specimen import Specimen

EPOCH = datetime(1904, 1, 1, tzinfo=UTC)
SAME_TIME_SECONDS = 120  # a recording's header is written when it ends, its tracks when they do
DISPLAY_SHARE = 0.02
ENCODER_SEARCH_BYTES = 512 * 1024
ENCODER = re.compile(rb"(x26[45]) (?:- core |\(build )?(\d{1,4})[^\0]{0,160}?options: ([ -~]{0,200})")
FIXED_POINT = 65_536


def mp4_structure(specimen: Specimen) -> Iterator[Finding]:
    """Findings from the boxes of a movie or sound file; nothing for other formats and for pictures."""
    boxes = specimen.metadata.boxes
    if not any(box.path == "moov" for box in boxes):
        return
    yield _layout(boxes)
    yield from _dates(boxes)
    yield from _edits(boxes)
    yield from _display_size(boxes)
    yield from _encoder(specimen, boxes)


def _layout(boxes: Sequence[Box]) -> Finding:
    top = [box.name for box in boxes if "/" not in box.path]
    order = list(dict.fromkeys(top))
    brand = next((b.content[:4].decode("latin-1") for b in boxes if b.path == "ftyp"), "")
    handlers = [_handler(box) for box in boxes if box.path.endswith("mdia/hdlr")]
    index = ""
    if "mdat" in order:
        index = f"; the index stands {'before' if order.index('moov') < order.index('mdat') else 'after'} the media"
    return finding(
        "box_order",
        f"The boxes of the container stand in the order {', '.join(order[:10])}{index}.",
        source="MP4 boxes",
        facts={
            "order": order,
            "brand": brand.strip(),
            "compatible": next((b.content[8:72].decode("latin-1") for b in boxes if b.path == "ftyp"), ""),
            "fragments": top.count("moof"),
            "handlers": list(filter(None, handlers)),
        },
    )


def _handler(box: Box) -> str:
    return box.content[24:].split(b"\0")[0].decode("utf-8", "replace").strip()


def _times(box: Box) -> tuple[int, int]:
    """Creation and modification in seconds since 1904, as written; (0, 0) where the box is too short."""
    is_long = box.content[:1] == b"\1"
    layout, at = (">QQ", 4) if is_long else (">II", 4)
    if len(box.content) < at + struct.calcsize(layout):
        return 0, 0
    created, changed = struct.unpack_from(layout, box.content, at)
    return int(created), int(changed)


def _moment(seconds: int) -> str:
    try:
        return (EPOCH + timedelta(seconds=seconds)).isoformat()
    except OverflowError:
        return f"{seconds} s after 1904"


def _dates(boxes: Sequence[Box]) -> Iterator[Finding]:
    heads = [(box.path, _times(box)) for box in boxes if box.name in ("mvhd", "tkhd", "mdhd")]  # tracks share paths
    movie = next((times for path, times in heads if path.endswith("mvhd")), None)
    if movie is None:
        return
    if movie[0] == 0:  # of a track too: it names none
        yield finding(
            "dates_empty", "The container names no date of creation, as most converters do.", source="MP4 boxes"
        )
        return
    facts = {"created": _moment(movie[0]), "changed": _moment(movie[1])}
    yield finding("container_dates", "The container names a date of creation.", source="MP4 boxes", facts=facts)
    if movie[1] < movie[0]:
        yield finding(
            "changed_before_created", "By its header the container was changed before it was created.",
            source="MP4 boxes", severity="warning", facts=facts,
        )  # fmt: skip
    tracks = [times[0] for path, times in heads if not path.endswith("mvhd")]
    odd = [_moment(created) for created in tracks if created and abs(created - movie[0]) > SAME_TIME_SECONDS]
    if odd:
        yield finding(
            "track_dates_differ",
            "Tracks name other dates of creation than the container, as when parts were put together.",
            source="MP4 boxes",
            severity="notice",
            facts={"container": facts["created"], "tracks": list(dict.fromkeys(odd))[:4]},
        )


def _edits(boxes: Sequence[Box]) -> Iterator[Finding]:
    """Edit lists that do more than skip the encoder's start-up."""
    told: set[tuple[int, int]] = set()
    for box in (b for b in boxes if b.name == "elst"):
        entries = _edit_entries(box)
        shown = [entry for entry in entries if entry[1] >= 0]
        empty = len(entries) - len(shown)
        if (len(shown), empty) in told:
            continue
        told.add((len(shown), empty))
        if len(shown) > 1:
            yield finding(
                "edit_list_cuts",
                f"An edit list shows {len(shown)} separate stretches of a track, as after cutting without encoding "
                "again.",
                source="MP4 boxes",
                severity="notice",
                facts={"stretches": len(shown), "empty": empty},
            )
        elif shown and (shown[0][1] > 0 or empty):
            yield finding(
                "edit_list",
                "An edit list shifts the beginning of a track, as encoders and trimming do.",
                source="MP4 boxes",
                facts={"media_time": shown[0][1], "empty": empty},
            )


def _edit_entries(box: Box) -> list[tuple[int, int]]:
    """(duration, media time) of each entry; media time -1 is a gap."""
    content = box.content
    layout = ">Qqi" if content[:1] == b"\1" else ">Iii"
    step, count = struct.calcsize(layout), int.from_bytes(content[4:8], "big")
    whole = min(count, (len(content) - 8) // step)
    return [struct.unpack_from(layout, content, 8 + k * step)[:2] for k in range(max(0, whole))]


def _display_size(boxes: Sequence[Box]) -> Iterator[Finding]:
    """Size in the track's header against that of its coded pictures."""
    coded = (0, 0)
    header: Box | None = None
    for box in boxes:
        if box.name == "tkhd":
            header = box
        if box.name == "stsd" and header is not None:
            coded = _coded_size(box)
            shown = _shown_size(header)
            if all(coded) and all(shown) and _differ(coded, shown):
                yield finding(
                    "display_size_differs",
                    f"A track claims to be shown at {shown[0]} x {shown[1]} pixels, its pictures are coded at "
                    f"{coded[0]} x {coded[1]}.",
                    source="MP4 boxes",
                    severity="notice",
                    facts={"shown_width_px": shown[0], "shown_height_px": shown[1], "coded_width_px": coded[0],
                           "coded_height_px": coded[1]},
                )  # fmt: skip


def _coded_size(stsd: Box) -> tuple[int, int]:
    """Of a visual sample entry; (0, 0) for others, whose bytes there are none."""
    entry = stsd.content[8:]
    if len(entry) < 36 or entry[4:8] not in (b"avc1", b"hvc1", b"hev1", b"av01", b"vp09", b"mp4v", b"apcn", b"jpeg"):
        return 0, 0
    width, height = struct.unpack_from(">HH", entry, 32)
    return int(width), int(height)


def _shown_size(tkhd: Box) -> tuple[int, int]:
    if len(tkhd.content) < 84:
        return 0, 0
    width, height = struct.unpack(">II", tkhd.content[-8:])
    return width // FIXED_POINT, height // FIXED_POINT


def _differ(coded: tuple[int, int], shown: tuple[int, int]) -> bool:
    return any(abs(a - b) > DISPLAY_SHARE * max(a, b) + 1 for a, b in zip(coded, shown, strict=True))


def _encoder(specimen: Specimen, boxes: Sequence[Box]) -> Iterator[Finding]:
    """The settings that x264 and x265 leave at the head of the picture data."""
    media = next((box for box in boxes if box.path == "mdat"), None)
    if media is None:
        return
    specimen.file.seek(media.offset)
    match = ENCODER.search(specimen.file.read(ENCODER_SEARCH_BYTES))
    if match is not None:
        name, build, options = (part.decode("ascii", "replace") for part in match.groups())
        yield finding(
            "software_encoder",
            f"The pictures were encoded by {name} (build {build}), a program and not a camera's chip.",
            source="H.264 or H.265 stream",
            severity="notice",
            facts={"encoder": name, "build": build, "options": options},
        )
