"""The inbox: how files come in, how one finds and walks them, and that many of them stay quick."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from console import SCREENSHOTS, Console, png, serious_flaws, skip_where_busy, wav
from PIL import Image
from playwright.sync_api import Page, expect

from media_factory import save_picture

NAME = "<img src=x onerror=alert(1)>.png"


def test_key_opens_the_door_and_leads_to_where_one_wanted(page: Page, console: Console) -> None:
    page.context.clear_cookies()
    page.goto("/cases")
    expect(page).to_have_url(re.compile(r"/login\?next=%2Fcases"))
    page.get_by_label("Your key").fill("dsk_nonsense")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_contain_text("opens nothing here")
    page.get_by_label("Your key").fill(console.key)
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url(re.compile(r"/cases$"))
    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_url(re.compile(r"/login$"))


@pytest.mark.parametrize("wanted", ["https://evil.example/", "//evil.example/", "javascript:alert(1)"])
def test_login_leads_nowhere_else(page: Page, console: Console, wanted: str) -> None:
    page.context.clear_cookies()
    page.goto(f"/login?next={wanted}")
    page.get_by_label("Your key").fill(console.key)
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url(console.url + "/")


def test_files_are_sent_and_their_results_appear_by_themselves(page: Page, tmp_path: Path) -> None:
    paths = [save_picture(tmp_path / f"sent_{k}.png", "PNG", Image.new("RGB", (40 + k, 30), "teal")) for k in range(3)]
    page.goto("/")
    page.locator("#files").set_input_files(paths)
    expect(page.locator("#uploads-told")).to_have_text("All files are here.")
    for path in paths:
        line = page.locator(".rows .row", has_text=path.name)
        expect(line.locator(".chip")).to_have_text(re.compile("inconclusive"))
    page.screenshot(path=SCREENSHOTS / "inbox.png")


def test_upload_is_paused_and_goes_on(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "long.wav"
    file.write_bytes(wav(300.0))  # 9.6 MB: more than one piece
    page.goto("/")
    page.context.set_offline(True)
    page.locator("#files").set_input_files(file)
    page.get_by_role("button", name="Pause").first.click()
    expect(page.locator(".uploads .told")).to_have_text("paused")
    page.context.set_offline(False)
    page.get_by_role("button", name="Go on").first.click()
    expect(page.locator("#uploads-told")).to_have_text("All files are here.", timeout=60_000)
    expect(page.locator(".rows .row", has_text="long.wav")).to_be_visible()


def test_what_is_no_media_says_so(page: Page, tmp_path: Path) -> None:
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.txt").write_text("no picture")
    page.goto("/")
    page.locator("#files").set_input_files([tmp_path / "empty.png", tmp_path / "text.txt"])
    expect(page.locator(".uploads li", has_text="empty.png").locator(".told")).to_contain_text("zero bytes")
    expect(page.locator(".rows .row", has_text="text.txt").locator(".chip")).to_have_text(re.compile("failed"))


def test_folder_is_sent_with_its_paths(page: Page, tmp_path: Path) -> None:
    (tmp_path / "seized/inner").mkdir(parents=True)
    save_picture(tmp_path / "seized/inner/deep.png", "PNG", Image.new("RGB", (47, 31), "olive"))
    page.goto("/")
    page.locator("#folder").set_input_files(tmp_path / "seized")
    expect(page.locator(".rows .row", has_text="seized/inner/deep.png")).to_be_visible()


def test_dropped_file_is_sent(page: Page) -> None:
    page.goto("/")
    page.evaluate(
        """async () => {
        const data = new DataTransfer();
        const canvas = Object.assign(document.createElement("canvas"), { width: 33, height: 21 });
        const blob = await new Promise((done) => canvas.toBlob(done));
        data.items.add(new File([blob], "dropped.png", { type: "image/png" }));
        dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
    }"""
    )
    expect(page.locator(".rows .row", has_text="dropped.png")).to_be_visible()


def test_filters_find_and_views_are_kept(page: Page, console: Console) -> None:
    console.item("meadow.png", png(Image.new("RGB", (50, 40), "green")))
    console.item("speech.wav", wav())
    page.goto("/")
    page.locator("select[name=kind]").select_option("audio")
    expect(page.locator(".rows .row", has_text="speech.wav")).to_be_visible()
    expect(page.locator(".rows .row", has_text="meadow.png")).to_have_count(0)
    page.once("dialog", lambda dialog: dialog.accept("Sound only"))
    page.get_by_role("button", name="Save view").click()
    page.get_by_role("button", name="Reset").click()
    expect(page.locator(".rows .row", has_text="meadow.png")).to_be_visible()
    page.reload()
    page.get_by_label("Saved views").select_option("Sound only")
    expect(page.locator(".rows .row", has_text="meadow.png")).to_have_count(0)
    expect(page).to_have_url(re.compile(r"kind=audio"))
    page.get_by_role("button", name="Reset").click()
    page.keyboard.press("/")
    page.keyboard.type("mead")
    expect(page.locator(".rows .row")).to_have_count(1)


def test_list_is_walked_with_the_keyboard(page: Page, console: Console) -> None:
    console.item("walk_1.png", png(Image.new("RGB", (51, 40), "red")))
    console.item("walk_2.png", png(Image.new("RGB", (52, 40), "blue")))
    page.goto("/?text=walk_")
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator(".row a.open").nth(1)).to_be_focused()
    page.keyboard.press("k")
    page.keyboard.press("x")
    expect(page.locator("#chosen")).to_have_text("1 chosen")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="walk_2.png")).to_be_visible()
    page.wait_for_load_state()  # until then nobody listens to keys
    page.keyboard.press("j")
    expect(page.get_by_role("heading", name="walk_1.png")).to_be_visible()
    expect(page.locator("#beside a[rel=next]")).not_to_have_attribute("href", re.compile("items"))  # it is the last one
    page.wait_for_load_state()
    page.keyboard.press("u")
    expect(page).to_have_url(re.compile(r"text=walk_"))
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    assert serious_flaws(page) == []
    page.keyboard.press("Escape")
    for line in (0, 1):
        page.locator(".row .choose").nth(line).check()
    page.keyboard.press("c")
    expect(page).to_have_url(re.compile("/compare/"))


def test_first_view_is_light_and_soon_usable(page: Page) -> None:
    """Of three visits with an empty cache the quickest counts: the machine may be busy with other things."""
    sizes: list[int] = []
    page.on("response", lambda response: sizes.append(int(response.headers.get("content-length", 0))))
    milliseconds = []
    for _ in range(3):
        sizes.clear()
        page.context.new_cdp_session(page).send("Network.clearBrowserCache")
        page.goto("/")
        expect(page.locator("#search")).to_be_visible()
        milliseconds.append(page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"))
    assert 20_000 < sum(sizes) <= 300_000, sizes
    skip_where_busy(f"{milliseconds} ms")
    assert min(milliseconds) <= 1500, milliseconds


def test_no_page_has_a_serious_flaw_for_those_who_cannot_see_or_point(page: Page, phone: Page) -> None:
    for path in ("/", "/review", "/cases", "/service", "/service/keys", "/service/methods", "/login", "/nowhere"):
        page.goto(path)
        assert serious_flaws(page) == [], path
    phone.goto("/")
    assert serious_flaws(phone) == []
    phone.screenshot(path=SCREENSHOTS / "inbox_phone_dark.png")
    assert phone.evaluate("document.documentElement.scrollWidth") <= 360
    expect(phone.get_by_role("link", name="Posteingang")).to_be_visible()
