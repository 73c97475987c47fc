"""Cases, review by a second person, keys, and the side-by-side view of pictures."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from console import SCREENSHOTS, Console, opened, png, serious_flaws, until
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from deepscreen.engine.about import method_info
from deepscreen.engine.worker import Worker
from deepscreen.screening import ScreeningDesk
from deepscreen.settings import VerdictPolicy

PORTRAIT = Path(__file__).resolve().parents[2] / "sample_media/bona_fide/portrait_hopper.jpg"


def test_case_is_opened_noted_and_taken_along(page: Page, console: Console, api: httpx.Client) -> None:
    page.goto("/cases")
    page.get_by_label("Name of the new case").fill("Fire at the mill")
    page.get_by_role("button", name="Open a case").click()
    expect(page.get_by_role("heading", name="Fire at the mill")).to_be_visible()
    case_id = page.url.rpartition("/")[2]
    page.get_by_label("Notes").fill("first line\nsecond line")
    page.get_by_role("button", name="Save the notes").click()
    expect(page.get_by_role("status")).to_have_text("Saved.")
    console.item("mill.png", png(Image.new("RGB", (60, 40), "orange")), case_id=case_id)
    page.reload()
    expect(page.get_by_label("Notes")).to_have_value("first line\nsecond line")
    expect(page.locator(".row", has_text="mill.png")).to_be_visible()
    expect(page.get_by_role("region", name="What was done")).to_contain_text("screening-created")
    assert serious_flaws(page) == []
    page.screenshot(path=SCREENSHOTS / "case.png")
    with page.expect_download() as download:
        page.get_by_role("link", name="Bundle (ZIP)").click()
    assert download.value.suggested_filename.endswith(".zip")
    page.get_by_role("button", name="Close the case").click()
    expect(page.get_by_role("button", name="Open it again")).to_be_visible()
    assert api.get(f"/v1/cases/{case_id}").json()["closed_at"]


def test_report_is_a_pdf_download(page: Page, console: Console) -> None:
    page.goto(f"/items/{console.item('quadrants.png', png())}")
    with page.expect_download(timeout=60_000) as download:
        page.get_by_role("link", name="Report (PDF)").click()
    assert download.value.path().read_bytes().startswith(b"%PDF-")


def test_second_person_makes_a_result_final(browser: Browser, console: Console, reviewer_key: str, page: Page) -> None:
    item = console.item("contested.png", png(Image.new("RGB", (61, 40), "purple")))
    page.goto(f"/items/{item}")
    expect(page.locator("#review")).to_have_count(0)  # who sent it
    for rita in opened(browser, console):
        rita.context.clear_cookies()
        rita.goto(f"/login?next=/items/{item}")
        rita.get_by_label("Your key").fill(reviewer_key)
        rita.get_by_role("button", name="Log in").click()
        rita.get_by_label("Override it").check()
        rita.get_by_label("Verdict instead").select_option("spoof_supported")
        rita.get_by_role("button", name="Make it final").click()  # without a reason nothing happens
        rita.get_by_label("Reason").fill("The shadow falls to the wrong side.")
        rita.get_by_role("button", name="Make it final").click()
        expect(rita.locator(".reviewed")).to_contain_text("The shadow falls to the wrong side.")
        assert serious_flaws(rita) == []
    page.goto("/?review=final")
    line = page.locator(".row", has_text="contested.png")
    expect(line).to_contain_text("final")
    expect(line.locator(".chip")).to_contain_text("synthetic or manipulated")


def test_key_is_made_shown_once_and_revoked(page: Page, console: Console) -> None:
    page.goto("/service/keys")
    page.get_by_label("Whose it is").fill("Ben")
    page.get_by_label("Role").select_option("examiner")
    page.get_by_role("button", name="Make a key").click()
    expect(page.locator("#made code")).to_have_text(re.compile("dsk_"))
    token = page.locator("#made code").inner_text()
    bearer = {"Authorization": f"Bearer {token}"}
    assert httpx.get(console.url + "/info", headers=bearer).status_code == 200
    page.get_by_role("link", name="I have it").click()
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("row", name=re.compile("Ben")).get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("row", name=re.compile("Ben"))).to_contain_text("revoked")
    assert httpx.get(console.url + "/info", headers=bearer).status_code == 401


def test_service_tells_how_it_stands(page: Page) -> None:
    page.goto("/service")
    expect(page.get_by_text("Ready: files are taken and screened.")).to_be_visible()
    expect(page.get_by_text("fake_image")).to_be_visible()
    page.screenshot(path=SCREENSHOTS / "service.png")


def test_methods_stand_side_by_side_and_one_is_tried(page: Page, console: Console) -> None:
    console.item("quadrants.png", png())
    service = console.app.state.service
    stricter = service.settings.model_copy(update={"policy": VerdictPolicy(spoof_min_log10_lr=1.5)})
    with closing(ScreeningDesk.with_fake_detectors(stricter)) as desk:
        worker = Worker(service.store, desk, service.queue, about=method_info(desk).model_dump(mode="json"))
        worker.start()
        try:
            page.goto("/service/methods")
            differing = page.get_by_role("region", name="What differs")
            expect(differing.get_by_role("row", name=re.compile("spoof_min_log10_lr"))).to_contain_text("1.5")
            page.get_by_label("Files to try").fill("1")
            page.get_by_role("button", name="Have them computed by the other").click()
            expect(page.get_by_text("Screened by both: 1.")).to_be_visible()  # it comes anew by itself
            assert serious_flaws(page) == []
            page.screenshot(path=SCREENSHOTS / "methods.png")
        finally:
            worker.stop()
    page.goto("/service/detectors/image_fusion")
    expect(page.get_by_role("heading", name="What it was fitted on")).to_be_visible()
    assert serious_flaws(page) == []


def test_copies_stand_beside_an_item(page: Page, console: Console, api: httpx.Client) -> None:
    case_id = api.post("/v1/cases", json={"name": "Copies"}).json()["id"]
    portrait = Image.open(PORTRAIT).convert("RGB")
    item = console.item("whole.png", png(portrait), case_id=case_id)
    console.item("small.png", png(portrait.resize((150, 180))), case_id=case_id)
    page.goto(f"/items/{item}")
    near = page.get_by_role("region", name="Near-duplicates")
    expect(near.get_by_text("The picture is alike")).to_be_visible()
    assert serious_flaws(page) == []
    near.get_by_role("link", name="Compare with small.png").click()
    expect(page.get_by_text("Near-duplicates: the picture is alike")).to_be_visible()


def test_two_pictures_share_one_zoom(page: Page, console: Console) -> None:
    one, other = (
        console.item("quadrants.png", png()),
        console.item("mine.png", png(Image.new("RGB", (192, 128), "navy"))),
    )
    page.goto(f"/items/{one}/compare/{other}")
    until(page, "[...document.querySelectorAll('.viewer')].every((root) => root.viewer)")
    page.evaluate("document.querySelectorAll('.viewer')[0].viewer.stage.zoomTo(12, 30, 40)")
    left, right = page.evaluate("[...document.querySelectorAll('.viewer')].map((root) => root.viewer.stage.view)")
    assert right == pytest.approx(left, rel=1e-6)
    assert serious_flaws(page) == []
    page.screenshot(path=SCREENSHOTS / "compare.png")
