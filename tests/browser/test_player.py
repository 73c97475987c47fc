"""Clips and recordings: what is on the screen and where the cursor stands are one moment, to the frame."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest
from console import SCREENSHOTS, Console, serious_flaws, until, wav
from playwright.sync_api import Page, expect

from media_factory import level_of, save_clip

# Frames between 20 and 180 ms apart: no frame rate fits. 26 levels of grey tell the frames apart.
STEPS_MS = [random.Random(7).choice((20, 33, 40, 60, 100, 180)) for _ in range(24)]
TIMES_MS = [sum(STEPS_MS[:k]) for k in range(25)]
GREY_ON_SCREEN = """() => {
    const video = document.querySelector("video");
    const canvas = new OffscreenCanvas(4, 4);
    const pen = canvas.getContext("2d");
    pen.drawImage(video, 0, 0, 4, 4);
    return pen.getImageData(1, 1, 1, 1).data[0];
}"""
CURSOR = "Number(document.querySelector('.lanes').getAttribute('aria-valuenow'))"
SETTLED_MS = 350


def mel_share(hz: float) -> float:
    """How high a frequency lies between 0 and 8 kHz on Slaney's mel scale, by librosa's formula."""

    def mel(hz: float) -> float:
        return 3 * hz / 200 if hz < 1000 else 15 + 27 * math.log(hz / 1000) / math.log(6.4)

    return mel(hz) / mel(8000)


@pytest.fixture(scope="module")
def uneven(console: Console, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A clip with a variable frame rate, whose frame k is grey level_of(k)."""
    path = save_clip(tmp_path_factory.mktemp("clip") / "uneven.webm", "webm", times_ms=TIMES_MS, size=(128, 96))
    return console.item("uneven.webm", path.read_bytes())


def frame_on_screen(page: Page) -> int:
    """Which frame the picture itself says that it is."""
    grey = page.evaluate(GREY_ON_SCREEN)
    return min(range(len(TIMES_MS)), key=lambda k: abs(level_of(k) - grey))


def open_clip(page: Page, item: str) -> None:
    page.goto(f"/items/{item}")
    until(page, "document.querySelector('video').readyState >= 2")


def test_cursor_agrees_with_the_frame_on_the_screen_at_a_variable_frame_rate(page: Page, uneven: str) -> None:
    open_clip(page, uneven)
    lanes = page.locator(".lanes")
    box = lanes.bounding_box()
    assert box
    duration = float(lanes.get_attribute("aria-valuemax") or 0)
    for share in (0.08, 0.31, 0.52, 0.77, 0.93):
        page.mouse.click(box["x"] + share * box["width"], box["y"] + 10)
        page.wait_for_timeout(SETTLED_MS)
        frame, cursor_ms = frame_on_screen(page), 1000 * page.evaluate(CURSOR)
        at_cursor = max(k for k, time_ms in enumerate(TIMES_MS) if time_ms <= cursor_ms + 1)
        at_click = max(k for k, time_ms in enumerate(TIMES_MS) if time_ms <= 1000 * share * duration + 1)
        assert abs(at_cursor - frame) <= 1, (share, cursor_ms, frame)
        assert abs(at_click - frame) <= 1, (share, frame)


def test_step_goes_by_one_frame_however_long_it_is_shown(page: Page, uneven: str) -> None:
    open_clip(page, uneven)
    seen = [frame_on_screen(page)]
    for _ in range(5):
        page.evaluate("document.querySelector('.viewer').viewer.step(1)")
        seen.append(frame_on_screen(page))
    assert seen == [0, 1, 2, 3, 4, 5]
    for _ in range(2):
        page.evaluate("document.querySelector('.viewer').viewer.step(-1)")
        seen.append(frame_on_screen(page))
    assert seen[-2:] == [4, 3]


def test_map_is_seen_on_its_frame_only(page: Page, uneven: str) -> None:
    open_clip(page, uneven)
    over = page.locator(".screen .over")
    expect(over).to_be_hidden()
    page.locator(".chapter[data-layer]").click()
    expect(over).to_be_visible()
    video, heat = page.locator("video").bounding_box(), page.locator(".over .heat").bounding_box()
    assert video
    assert heat
    assert all(abs(video[side] - heat[side]) <= 1 for side in ("x", "y", "width", "height"))
    page.screenshot(path=SCREENSHOTS / "video.png")
    page.evaluate("document.querySelector('.viewer').viewer.step(1)")
    expect(over).to_be_hidden()


def test_sound_is_drawn_heard_and_repeated_in_one_clock(page: Page, console: Console) -> None:
    page.goto(f"/items/{console.item('speech.wav', wav())}")
    expect(page.locator(".waveform")).to_be_visible()
    expect(page.locator(".spectrum")).to_be_visible()
    box = page.locator(".lanes").bounding_box()
    assert box
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 20)
    assert page.evaluate("document.querySelector('audio').currentTime") == pytest.approx(1.5, abs=0.02)
    assert page.evaluate(CURSOR) == pytest.approx(1.5, abs=0.02)
    page.locator(".rate").select_option("0.5")
    assert page.evaluate("document.querySelector('audio').playbackRate") == 0.5
    # From 2.8 s to the end, again and again.
    page.evaluate("document.querySelector('.viewer').viewer.seek(2.8)")
    page.locator(".lanes").press("i")
    page.locator(".lanes").press("l")
    expect(page.locator(".lanes .stretch")).to_be_visible()
    page.locator(".rate").select_option("2")
    page.locator(".lanes").press(" ")
    page.wait_for_timeout(1500)
    state = page.evaluate("(({ paused, currentTime }) => ({ paused, currentTime }))(document.querySelector('audio'))")
    assert not state["paused"]
    assert state["currentTime"] >= 2.7
    page.locator(".lanes").press(" ")
    # The lower tone comes first: the spectrogram's brightest row moves up in its second half.
    rows = page.evaluate(
        """() => {
        const canvas = document.querySelector(".spectrogram");
        const brightest = (x) => {
            const data = canvas.getContext("2d").getImageData(x, 0, 1, canvas.height).data;
            const levels = Array.from({ length: canvas.height }, (_, y) => data[4 * y]);
            return levels.indexOf(Math.max(...levels));
        };
        return [0.25, 0.75].map((share) => 1 - brightest(Math.round(share * canvas.width)) / canvas.height);
    }"""
    )
    assert rows == pytest.approx([mel_share(440), mel_share(1800)], abs=0.02)
    page.screenshot(path=SCREENSHOTS / "audio.png")
    assert serious_flaws(page) == []


def test_clip_has_no_serious_flaw(page: Page, phone: Page, uneven: str) -> None:
    open_clip(page, uneven)
    assert serious_flaws(page) == []
    open_clip(phone, uneven)
    assert serious_flaws(phone) == []
    assert phone.evaluate("document.documentElement.scrollWidth") <= 360


def test_clip_that_the_browser_cannot_play_is_seen_frame_by_frame(page: Page, console: Console, tmp_path: Path) -> None:
    """MPEG-4 Part 2 in AVI, 25 frames a second: frames are decoded by the service, in the same clock and lanes."""
    clip = save_clip(tmp_path / "old.avi", "avi", seconds=1.0, size=(128, 96))
    page.goto(f"/items/{console.item('old.avi', clip.read_bytes())}")
    expect(page.locator(".viewer-note")).to_contain_text("frames are decoded for it")
    expect(page.locator(".still")).to_have_js_property("naturalWidth", 128)

    def frame_seen() -> int:
        grey = page.evaluate(GREY_ON_SCREEN.replace('"video"', '".still"'))
        return min(range(25), key=lambda k: abs(level_of(k) - grey))

    seen = [frame_seen()]
    for step in (1, 1, 1, -1):
        page.evaluate(f"document.querySelector('.viewer').viewer.step({step})")
        seen.append(frame_seen())
    assert seen == [0, 1, 2, 3, 2]
    page.locator(".chapter[data-layer]").click()
    expect(page.locator(".screen .over")).to_be_visible()
    still, heat = page.locator(".still").bounding_box(), page.locator(".over .heat").bounding_box()
    assert still
    assert heat
    assert all(abs(still[side] - heat[side]) <= 1 for side in ("x", "y", "width", "height"))
    assert page.evaluate(CURSOR) == pytest.approx(frame_seen() * 0.04, abs=0.001)
    page.get_by_role("button", name="Play").click()
    expect(page.locator(".lanes")).to_have_attribute("aria-valuenow", "0.960")
    expect(page.get_by_role("button", name="Play")).to_contain_text("▶")  # at the end it stops
    assert frame_seen() == 24
    assert serious_flaws(page) == []
    page.screenshot(path=SCREENSHOTS / "stills.png")


def test_two_clips_run_on_one_clock(page: Page, console: Console, uneven: str, tmp_path: Path) -> None:
    other = console.item("even.webm", save_clip(tmp_path / "even.webm", "webm", seconds=1.8).read_bytes())
    page.goto(f"/items/{uneven}/compare/{other}")
    until(page, "[...document.querySelectorAll('video')].every((video) => video.readyState >= 2)")
    box = page.locator(".lanes").first.bounding_box()
    assert box
    page.mouse.click(box["x"] + 0.5 * box["width"], box["y"] + 10)
    page.wait_for_timeout(SETTLED_MS)
    left, right = page.evaluate("[...document.querySelectorAll('.viewer')].map((root) => root.viewer.now)")
    assert abs(left - right) <= 0.2  # no frame of the uneven clip is shown longer
    assert serious_flaws(page) == []
