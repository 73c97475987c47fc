"""The misuse register in a browser: from an item to an entry, its campaign, an amendment, out and in."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import httpx
import pytest
from console import SCREENSHOTS, Console, serious_flaws
from PIL import Image
from playwright.sync_api import Page, expect

PORTRAIT = Path(__file__).resolve().parents[2] / "sample_media/bona_fide/portrait_hopper.jpg"
HOSTILE = '<img src=x onerror=alert(1)> & "FaceSwapper"'


def copy(quality: int) -> bytes:
    file = io.BytesIO()
    Image.open(PORTRAIT).convert("RGB").save(file, "JPEG", quality=quality)
    return file.getvalue()


@pytest.fixture
def copies(console: Console) -> tuple[str, str]:
    """Items of two re-encoded copies."""
    return console.item("copy 40.jpg", copy(40)), console.item("copy 70.jpg", copy(70))


def test_misuse_is_entered_found_amended_and_shared(
    page: Page, console: Console, api: httpx.Client, copies: tuple[str, str]
) -> None:
    known = {"screening_id": copies[0], "tool": "VoiceBox", "tlp": "red", "modus_operandi": "First line.\nSecond line."}
    other = api.post("/v1/misuse", json=known).json()["id"]
    page.goto(f"/items/{copies[1]}")
    page.get_by_text("Misuse register").last.click()
    form = page.locator("#new-misuse")
    form.get_by_label("Suspected tool or generator").fill("mail ada@example.org")
    form.get_by_label("What it does").select_option("face_swap")
    form.get_by_label("How far it may go").select_option("green")
    form.get_by_role("button", name="Enter it").click()
    expect(form.get_by_role("alert")).to_contain_text("looks like an e-mail address")
    page.screenshot(path=SCREENSHOTS / "register_new.png", full_page=True)
    form.get_by_label("Suspected tool or generator").fill(HOSTILE)
    assert serious_flaws(page) == []
    form.get_by_role("button", name="Enter it").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(HOSTILE)
    expect(page.get_by_role("region", name="Entries")).to_contain_text("VoiceBox")
    page.get_by_label("Status").select_option("confirmed")
    page.get_by_label("Reason").fill("Found on a computer.")
    page.get_by_role("button", name="Save as another revision").click()
    expect(page.locator(".revisions li")).to_have_count(2)
    expect(page.locator(".revisions")).to_contain_text("Found on a computer.")
    assert serious_flaws(page) == []
    page.screenshot(path=SCREENSHOTS / "register_entry.png", full_page=True)

    page.goto("/register")
    expect(page.locator("tbody tr")).to_have_count(2)
    assert serious_flaws(page) == []
    page.screenshot(path=SCREENSHOTS / "register.png", full_page=True)
    page.get_by_role("searchbox").fill("voice")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_role("link", name=re.compile("campaign")).click()
    expect(page.locator("tbody tr")).to_have_count(2)

    page.goto(f"/items/{copies[0]}")
    page.get_by_role("link", name="Are there copies in the misuse register?").click()
    expect(page.locator("tbody tr")).to_have_count(2)

    page.get_by_label("Its readers may see").select_option("green")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export").click()
    exported = download.value.path().read_text(encoding="utf-8")
    assert "FaceSwapper" in exported
    assert "VoiceBox" not in exported, "it is marked red"
    changed = json.loads(exported)
    for found in changed["objects"]:  # as if another force had given an entry of its own
        if found["type"] == "incident":
            found["id"] = "incident--5f2d8c9a-41b0-4e66-98d1-f0a29c7b4e15"
    files = {"name": "north.json", "mimeType": "application/json", "buffer": json.dumps(changed).encode()}
    page.get_by_label("File", exact=True).set_input_files([files])
    page.get_by_label("Who gave it").fill("Police of the north")
    page.get_by_role("button", name="Import").click()
    expect(page.get_by_role("status")).to_have_text("1 added, 0 amended, 0 known before, 0 refused.")
    expect(page.locator("tbody tr", has_text="Police of the north")).to_have_count(1)
    expect(page.locator("tbody tr")).to_have_count(3)
    assert api.get(f"/v1/misuse/{other}").json()["campaign"] == other


def test_register_reads_well_on_a_phone_in_german(phone: Page, copies: tuple[str, str], api: httpx.Client) -> None:
    api.post("/v1/misuse", json={"screening_id": copies[0], "tool": "FaceSwapper", "tlp": "amber+strict"})
    phone.goto("/register")
    expect(phone.get_by_role("heading", level=1)).to_have_text("Missbrauchsregister")
    assert phone.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing is cut off at the side"
    assert serious_flaws(phone) == []
    phone.screenshot(path=SCREENSHOTS / "register_phone.png", full_page=True)
    phone.get_by_role("link", name="FaceSwapper", exact=True).first.click()
    expect(phone.get_by_role("heading", name="Fassungen")).to_be_visible()
    assert phone.evaluate("document.documentElement.scrollWidth <= innerWidth")
    phone.screenshot(path=SCREENSHOTS / "register_entry_phone.png", full_page=True)
