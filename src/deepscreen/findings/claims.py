"""EXIF, XMP and IPTC: what they claim, and where they contradict each other or the picture itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from itertools import combinations

from deepscreen.findings.finding import Finding, finding
from deepscreen.findings.specimen import Specimen

EXIF_DATE = re.compile(r"(\d{4})[:-](\d{2})[:-](\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2}))?)?")
PARTIAL = re.compile(r"\d{4}(?:[:-](?:\d\d|00[:-]00|\d\d[:-]00))?")  # XMP and IPTC allow a year, or year and month
FIRST_YEAR = 1990  # before digital cameras for sale; clocks that were never set say 1970 or 1980
STEP = re.compile(r"(?<!/)stEvt:action\s*+[=>]")  # an attribute or an element, whose end does not count
SAME_MOMENT = timedelta(seconds=2)
TURNED_FORMATS = frozenset({"HEIF", "AVIF"})  # the size is that after the container's own turn, EXIF's is before it
# Clocks of satellites are UTC, those of cameras local: up to 14 hours apart, plus a camera that was set carelessly.
SAME_DAY = timedelta(hours=26)


def metadata_claims(specimen: Specimen) -> Iterator[Finding]:
    """What the metadata claims, then each contradiction."""
    yield from _claimed_origin(specimen)
    yield from _dates(specimen)
    yield from _software(specimen)
    yield from _size(specimen)


def _claimed_origin(specimen: Specimen) -> Iterator[Finding]:
    exif, metadata = specimen.metadata.exif, specimen.metadata
    kinds = [name for name, there in (("EXIF", exif), ("XMP", metadata.xmp), ("IPTC", metadata.iptc)) if there]
    if not exif and metadata.has_exif_block:
        message = "The picture holds a block of EXIF data in which nothing can be read."
        yield finding("exif_unreadable", message, source="EXIF", severity="notice")
    if not kinds:
        if not metadata.has_exif_block and specimen.width_px is not None:
            yield finding(
                "no_metadata",
                "The picture carries no EXIF, XMP or IPTC data, as after passing through most platforms.",
                source="metadata",
            )
        return
    names = ("Make", "Model", "LensModel", "Software", "DateTimeOriginal", "DateTime")
    facts: dict[str, object] = {name: exif.get(name) for name in names}
    facts |= {"kinds": ", ".join(kinds), "has_position": "GPSLatitude" in exif, "has_maker_note": "MakerNote" in exif}
    camera = _camera(exif)
    what = f"claims to come from {camera}" if camera else "names no camera"
    yield finding("metadata_claims", f"The metadata {what}.", source="metadata", facts=facts)


def _camera(exif: Mapping[str, str]) -> str:
    make, model = exif.get("Make", ""), exif.get("Model", "")
    if make.startswith("{") or ":{" in make:  # ComfyUI writes its graph there
        return ""
    return model if make and model.lower().startswith(make.lower()) else f"{make} {model}".strip()


def _dates(specimen: Specimen) -> Iterator[Finding]:
    exif, metadata = specimen.metadata.exif, specimen.metadata
    given = {
        "EXIF DateTimeOriginal": exif.get("DateTimeOriginal", ""),
        "EXIF DateTimeDigitized": exif.get("DateTimeDigitized", ""),
        "EXIF DateTime": exif.get("DateTime", ""),
        "XMP CreateDate": metadata.xmp_value("CreateDate"),
        "XMP ModifyDate": metadata.xmp_value("ModifyDate"),
        "IPTC DateCreated": _iptc_date(metadata.iptc.get("DateCreated", "")),
    }
    dates = {name: moment for name, text in given.items() if (moment := moment_of(text)) is not None}
    broken = {name: text for name, text in given.items() if text and name not in dates and not PARTIAL.fullmatch(text)}
    if broken:
        yield finding(
            "date_impossible", "A date is no possible moment.", source="metadata", severity="notice", facts=broken
        )
    early = {name: str(moment) for name, moment in dates.items() if moment.year < FIRST_YEAR}
    if early:
        yield finding(
            "date_early",
            f"A date lies before {FIRST_YEAR}, as in scans of old pictures and after clocks that were never set.",
            source="metadata",
            severity="notice",
            facts=early,
        )
    taken, changed = dates.get("EXIF DateTimeOriginal"), dates.get("EXIF DateTime")
    if taken is not None and changed is not None and changed < taken - SAME_MOMENT:
        yield _date_finding("changed_before_taken", "was last changed before it was taken", "warning", dates)
    elif taken is not None and changed is not None and changed > taken + SAME_MOMENT:
        yield _date_finding("changed_after_taken", "was changed after it was taken", "notice", dates)
    yield from _dates_disagree(dates)
    yield from _satellite_date(exif, taken)


def _iptc_date(text: str) -> str:
    return f"{text[:4]}:{text[4:6]}:{text[6:8]}" if re.fullmatch(r"\d{8}", text) else text


def moment_of(text: str) -> datetime | None:
    """A date of EXIF or XMP, without its zone; None for what is no possible moment."""
    match = EXIF_DATE.match(text.strip())
    if match is None:
        return None
    try:
        year, month, day, hour, minute, second = (int(part or 0) for part in match.groups())
        return datetime(year, month, day, hour, minute, second)  # EXIF knows no zone
    except ValueError:
        return None


def _date_finding(code: str, what: str, severity: str, dates: dict[str, datetime]) -> Finding:
    return finding(
        code,
        f"By its EXIF dates the picture {what}.",
        source="EXIF",
        severity="warning" if severity == "warning" else "notice",
        facts={name: moment.isoformat() for name, moment in dates.items()},
    )


def _dates_disagree(dates: dict[str, datetime]) -> Iterator[Finding]:
    """Dates of taking and digitising that differ by more than a zone could explain."""
    creation = ("EXIF DateTimeOriginal", "EXIF DateTimeDigitized", "XMP CreateDate", "IPTC DateCreated")
    known = [(name, dates[name]) for name in creation if name in dates]
    apart = [(a, b) for a, b in combinations(known, 2) if abs(a[1] - b[1]) > SAME_DAY]
    if apart:
        yield finding(
            "creation_dates_disagree",
            "The statements on when the picture was taken or digitised differ by more than a day.",
            source="metadata",
            severity="warning",
            facts={name: moment.isoformat() for name, moment in known},
        )


def _satellite_date(exif: Mapping[str, str], taken: datetime | None) -> Iterator[Finding]:
    stamp = moment_of(exif.get("GPSDateStamp", ""))
    if taken is not None and stamp is not None and abs(taken - stamp) > SAME_DAY + timedelta(days=1):
        yield finding(
            "satellite_date_differs",
            "The date from satellites is not that on which the picture claims to be taken.",
            source="EXIF",
            severity="warning",
            facts={"DateTimeOriginal": taken.isoformat(), "GPSDateStamp": stamp.date().isoformat()},
        )


def _software(specimen: Specimen) -> Iterator[Finding]:
    metadata = specimen.metadata
    named = {
        "EXIF Software": metadata.exif.get("Software", ""),
        "XMP CreatorTool": metadata.xmp_value("CreatorTool"),
        "IPTC OriginatingProgram": metadata.iptc.get("OriginatingProgram", ""),
    }
    told = {name: text for name, text in named.items() if text}
    if len(told) > 1 and len({_first_word(text) for text in told.values()}) > 1:
        yield finding(
            "software_statements_differ",
            "EXIF, XMP and IPTC name different programs, so more than one has written the file.",
            source="metadata",
            severity="notice",
            facts=told,
        )
    steps = len(STEP.findall(metadata.xmp))
    if steps:
        tools = re.findall(r"stEvt:softwareAgent(?:=[\"']|>)([^\"'<]{1,80})", metadata.xmp)
        yield finding(
            "edit_history",
            f"XMP lists {steps} steps of editing." if steps > 1 else "XMP lists one step of editing.",
            source="XMP",
            severity="notice",
            facts={"steps": steps, "software": list(dict.fromkeys(tools))[:6]},
        )


def _first_word(text: str) -> str:
    return re.split(r"[\s\d(]", text.strip().lower().removeprefix("adobe "), maxsplit=1)[0]


def _size(specimen: Specimen) -> Iterator[Finding]:
    """Pixels that EXIF claims against those that are there."""
    exif, width, height = specimen.metadata.exif, specimen.width_px, specimen.height_px
    claimed = (exif.get("ExifImageWidth", ""), exif.get("ExifImageHeight", ""))
    if width is None or height is None or not all(part.isdecimal() for part in claimed):
        return
    claimed_px = (int(claimed[0]), int(claimed[1]))
    if not all(claimed_px) or claimed_px == (width, height):
        return
    is_turned = claimed_px == (height, width)
    if is_turned and specimen.format in TURNED_FORMATS:
        return
    yield finding(
        "dimensions_turned" if is_turned else "dimensions_mismatch",
        f"EXIF claims {claimed_px[0]} x {claimed_px[1]} pixels, the picture has {width} x {height}: "
        + ("as after turning." if is_turned else "as after cropping or scaling."),
        source="EXIF",
        severity="notice" if is_turned else "warning",
        facts={
            "claimed_width_px": claimed_px[0],
            "claimed_height_px": claimed_px[1],
            "width_px": width,
            "height_px": height,
        },
    )
