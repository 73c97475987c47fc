"""Names, metadata, credentials and notes of hostile files are text on every page: nothing of them runs."""

from __future__ import annotations

import io
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from console import Console
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from playwright.sync_api import Browser, Error, Page, expect

from signed_media import Authority

BOMBS = (
    "<script>globalThis.ran=1</script>",
    '"><img src=x onerror="globalThis.ran=1">',
    "'-globalThis.ran=1-'",
    "</script><svg onload=globalThis.ran=1>",
    "{{ 7 * 7 }}{% if 1 %}",
)
BOMB = " ".join(BOMBS)


def hostile_jpeg() -> bytes:
    exif = Image.Exif()
    exif[0x0131], exif[0x010E], exif[0x013B] = BOMB, BOMB, BOMB  # software, description, artist
    file = io.BytesIO()
    Image.new("RGB", (64, 48), "grey").save(file, "JPEG", exif=exif.tobytes(), comment=BOMB.encode())
    return file.getvalue()


def hostile_png() -> bytes:
    texts = PngInfo()
    for name in ("parameters", "Software", "Comment"):
        texts.add_text(name, f"{BOMB}\nSteps: 20, Sampler: {BOMB}, Seed: 42")
    file = io.BytesIO()
    Image.new("RGB", (65, 48), "grey").save(file, "PNG", pnginfo=texts)
    return file.getvalue()


@pytest.fixture(scope="module")
def items(console: Console, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[str]]:
    """A case whose name and notes are bombs, and items in it whose names and metadata are."""
    with httpx.Client(base_url=console.url, headers={"Authorization": f"Bearer {console.key}"}) as api:
        case_id = api.post("/v1/cases", json={"name": BOMB[:200], "notes": f"</textarea>{BOMB}"}).json()["id"]
    folder: Path = tmp_path_factory.mktemp("hostile")
    plain = folder / "plain.jpg"
    Image.new("RGB", (66, 48), "grey").save(plain)
    signed = Authority().sign(plain, folder / "signed.jpg", title=BOMB)
    contents = (hostile_jpeg(), hostile_png(), signed.read_bytes())
    return case_id, [console.item(f"{BOMB} {k}", content, case_id=case_id) for k, content in enumerate(contents)]


def test_nothing_of_a_hostile_file_runs_anywhere(page: Page, items: tuple[str, list[str]]) -> None:
    case_id, names = items
    pages = ["/", "/review", "/cases", f"/cases/{case_id}", f"/?case={case_id}", f"/?text={quote(BOMB)}"]
    pages += [f"/items/{name}" for name in names] + [f"/items/{names[0]}/compare/{names[1]}", f"/{quote(BOMB)}"]
    for path in pages:
        page.goto(path)
        page.wait_for_timeout(100)
        assert page.evaluate("globalThis.ran") is None, path
        assert page.locator("script:not([src]):not([type='application/json'])").count() == 0, path
    page.goto(f"/cases/{case_id}")
    expect(page.locator("h1")).to_contain_text("<script>globalThis.ran=1</script>")
    expect(page.locator("#notes-text")).to_have_value(f"</textarea>{BOMB}")


def test_browser_itself_refuses_what_would_slip_through(browser: Browser, console: Console) -> None:
    """Text that became markup by some mistake of ours, and a script within the page."""
    context = browser.new_context(base_url=console.url)
    page = context.new_page()
    page.goto("/login")
    with pytest.raises(Error, match="TrustedHTML"):
        page.evaluate("document.body.innerHTML = '<b>not from a template</b>'")
    page.evaluate(
        """() => {
        const copy = document.implementation.createHTMLDocument("");
        const script = copy.createElement("script");
        script.append("globalThis.ran = 1");
        try { document.body.append(document.adoptNode(script)); } catch {}
    }"""
    )
    assert page.evaluate("globalThis.ran") is None
    context.close()
