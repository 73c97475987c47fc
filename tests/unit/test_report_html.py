"""The static index page: what it says, what it never runs, and that its counts add up."""

import base64
import hashlib
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from report_samples import FAILED_NAME, heatmap, image_screening, result, silent_screening, video_screening

from deepscreen.record import Verdict
from deepscreen.report.as_html import IndexEntry, IndexSummary, write_index

JPEG = b"\xff\xd8\xff\xe0 a small picture"
VOID = {"meta", "img", "br", "input", "link", "circle", "path"}


class Page(HTMLParser):
    """Elements with their attributes, text outside style and script, and whether tags are balanced."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.raw: dict[str, str] = {}
        self.words: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        inside = self.open[-1] if self.open else ""
        if inside in ("style", "script"):
            self.raw[inside] = self.raw.get(inside, "") + data
        else:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def entries() -> list[IndexEntry]:
    return [
        IndexEntry("holiday/portrait.jpg", image_screening(), None, JPEG, "evidence/" + "11" * 32),
        IndexEntry("clip.mp4", video_screening(), None, None, "evidence/" + "22" * 32),
        IndexEntry("silence.wav", silent_screening(), None, None, "evidence/" + "33" * 32),
        IndexEntry(FAILED_NAME, None, "UndecodableMedia: the JPEG ends early", None, ""),
    ]


def written(folder: Path, items: list[IndexEntry]) -> str:
    page = folder / "index.html"
    write_index(page, iter(items), summary=IndexSummary.of(item.screening for item in items))
    return page.read_text(encoding="utf-8")


def parsed(folder: Path, items: list[IndexEntry] | None = None) -> Page:
    return Page(written(folder, items or entries()))


def test_page_is_well_formed_and_has_an_item_for_each_entry(tmp_path: Path) -> None:
    page = parsed(tmp_path)
    assert page.open == []
    items = [e for e in page.all("tbody") if e.get("class") == "item"]
    assert [item["data-order"] for item in items] == ["0", "1", "2", "3"]
    assert [item["data-verdict"] for item in items] == ["spoof_supported", "spoof_supported", "not_screened", "failed"]
    assert page.all("html")[0]["lang"] == "en"
    assert all("alt" in image for image in page.all("img"))


def test_counts_add_up(tmp_path: Path) -> None:
    assert "4 files: 3 screened, 1 failed." in parsed(tmp_path).text
    summary = IndexSummary.of(item.screening for item in entries())
    assert summary.files == summary.screened + summary.failed == 4
    assert sum(summary.verdicts.values()) == summary.screened


def test_record_is_told_in_full(tmp_path: Path) -> None:
    text = parsed(tmp_path).text
    for words in (
        "+2.50 +2.00 to +3.00 at the limit of the validation set",
        "Moderately strong support: the evidence is about 320 times more probable if synthetic or manipulated.",
        "<0.01 prior 0.5",
        "The image detector supports spoof.",
        "Heatmap of the whole picture, by image_clip. Fixed scale -4 to +4 log-odds",
        "hottest 10 % masked: -1.23, random 10 %: -0.10",
        "image_clip 1 +3.214 3 +2.50",
        "The picture looks upscaled. (upscaled)",
        "Orientation tag 6 was applied. (orientation_applied, from decoding)",
        "JPEG, 4032 x 3024 px",
        "00:07.5 to 00:11.0, whole frame, peak log-odds +2.70",
        "00:08.0 to 01:15.0, face 1, peak log-odds +5.95",
        "audio_whisper: narrow band. Nothing above 3.4 kHz.",
        "audio_whisper: silent. No speech in 12.0 s.",
        "UndecodableMedia: the JPEG ends early",
        "deepscreen 0.1.0",
        "ab" * 32,
        "11" * 32,
    ):
        assert words in text


def test_verdicts_are_words_and_symbols_not_colour_alone(tmp_path: Path) -> None:
    text = parsed(tmp_path).text
    for words in ("▲ supports synthetic or manipulated", "◆ inconclusive", "○ not screened", "✕ failed"):
        assert words in text


def test_pictures_are_linked_below_the_page_and_the_thumbnail_is_inside(tmp_path: Path) -> None:
    sources = [image["src"] for image in parsed(tmp_path).all("img")]
    assert f"evidence/{'11' * 32}/image_clip-heatmap-whole.png" in sources
    assert f"evidence/{'22' * 32}/video_clip-timeline.png" in sources
    assert "data:image/jpeg;base64," + base64.b64encode(JPEG).decode() in sources


def test_nothing_is_loaded_from_elsewhere_and_only_our_script_may_run(tmp_path: Path) -> None:
    source = written(tmp_path, entries())
    page = Page(source)
    assert not re.search(r"https?:|//[a-z]|@import|url\(", source)
    policy = next(m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    for element in ("style", "script"):
        digest = base64.b64encode(hashlib.sha256(page.raw[element].encode()).digest()).decode()
        assert f"{element}-src 'sha256-{digest}'" in policy
    assert len(page.all("script")) == len(page.all("style")) == 1
    inline = {
        name for _, attributes in page.elements for name in attributes if name.startswith("on") or name == "style"
    }
    assert inline == set()


def test_hostile_names_and_messages_are_text(tmp_path: Path) -> None:
    nasty = "\"'><img src=x onerror=alert(1)>\x1b[31m\u202e{{ 7 * 7 }}"
    entry = IndexEntry(nasty, image_screening(nasty), None, None, "evidence/x")
    page = parsed(tmp_path, [entry, entries()[-1]])
    assert len(page.all("script")) == 1
    assert all("onerror" not in image for image in page.all("img"))
    assert not {"\x1b", "\u202e", "\udcff"} & set(page.text)
    harmless = "\"'><img src=x onerror=alert(1)>\\x1b[31m\\u202e{{ 7 * 7 }}"
    assert page.text.count(harmless) >= 3
    assert "evil\\n<script>alert(1)</script>\\u202egpj.exe\\x1b[2J\\xff" in page.text
    assert page.all("tbody")[0]["data-name"] == harmless


@pytest.mark.parametrize("href", ["../x", "/etc", "javascript:alert(1)", "https://a/b", "a//b", "a/..", ".hidden"])
def test_evidence_outside_the_page_folder_is_refused(href: str) -> None:
    with pytest.raises(ValueError, match="evidence_href"):
        IndexEntry("a.jpg", image_screening(), None, None, href)


def test_evidence_name_that_is_a_path_is_refused_and_no_page_is_left(tmp_path: Path) -> None:
    image = result(Verdict.INCONCLUSIVE, 0.0, "none", evidence=(heatmap("../../secret.png"),))
    entry = IndexEntry("a.jpg", image_screening(modalities={"image": image}), None, None, "evidence/x")
    with pytest.raises(ValueError, match="evidence name"):
        written(tmp_path, [entry])
    assert list(tmp_path.iterdir()) == []


def test_entry_has_exactly_one_outcome() -> None:
    for screening, error in ((None, None), (image_screening(), "broken")):
        with pytest.raises(ValueError, match="either"):
            IndexEntry("a", screening, error, None, "evidence/x")


def test_wrong_summary_is_refused_and_the_old_page_stays(tmp_path: Path) -> None:
    page = tmp_path / "index.html"
    page.write_text("old")
    with pytest.raises(ValueError, match="summary counts"):
        write_index(page, entries(), summary=IndexSummary.of([None]))
    assert page.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["index.html"]


def test_page_is_the_same_bytes_twice(tmp_path: Path) -> None:
    assert written(tmp_path, entries()) == written(tmp_path, entries())


def test_page_without_any_record_names_no_method(tmp_path: Path) -> None:
    text = parsed(tmp_path, entries()[-1:]).text
    assert "1 file: 0 screened, 1 failed." in text
    assert "no method to name" in text


def test_entries_are_written_while_they_arrive(tmp_path: Path) -> None:
    count, thumbnail = 300, bytes(20_000)
    template = entries()[0]
    sizes: list[int] = []

    def stream() -> Iterator[IndexEntry]:
        for number in range(count):
            yield IndexEntry(f"{number}.jpg", template.screening, None, thumbnail, template.evidence_href)
            sizes.append((tmp_path / "index.html.partial").stat().st_size)

    write_index(tmp_path / "index.html", stream(), summary=IndexSummary({Verdict.SPOOF_SUPPORTED: count}, failed=0))
    # Never more than one entry and a file buffer behind what was taken.
    assert all(size > (number - 1) * len(thumbnail) for number, size in enumerate(sizes))
    assert (tmp_path / "index.html").stat().st_size > count * len(thumbnail)
