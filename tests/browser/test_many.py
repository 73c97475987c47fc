"""Ten thousand items: the inbox still scrolls and filters without standing still. So does a page of a large item."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from console import Console, jpeg, opened, png, skip_where_busy, wav
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import insert, select

from deepscreen.settings import Settings
from deepscreen.store.tables import screenings

ITEMS = 10_000
MOST_STALL_MS = 200
PAGES_SCROLLED = 12


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """A service with one result that ten thousand screenings refer to, written as the store would."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("crowded") / "data", device="cpu")
    served = Console(settings)
    served.item("first.png", png())
    database = served.app.state.service.store.database
    with database.write() as connection:
        row = connection.execute(select(screenings)).first()
        assert row is not None
        copies = [
            {**row._mapping, "id": f"{k:032x}", "filename": f"IMG_{k:05}.png", "created_at": row.created_at - k}
            for k in range(1, ITEMS)
        ]
        connection.execute(insert(screenings), copies)
    yield served
    served.close()


@pytest.fixture
def crowd(browser: Browser, crowded: Console) -> Iterator[Page]:
    yield from opened(browser, crowded)


WATCH_STALLS = """() => {
    globalThis.stalls = [];
    new PerformanceObserver((list) => stalls.push(...list.getEntries().map((entry) => entry.duration)))
        .observe({ type: "longtask" });
}"""


def test_ten_thousand_items_scroll_and_filter_without_a_stall(crowd: Page) -> None:
    crowd.goto("/")
    crowd.evaluate(WATCH_STALLS)
    for page in range(2, PAGES_SCROLLED + 1):
        crowd.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
        expect(crowd.locator(".row")).to_have_count(50 * page)
    crowd.locator("#search").fill("IMG_099")
    expect(crowd.locator(".row").first).to_contain_text("IMG_0990")
    expect(crowd.locator(".row")).to_have_count(50)
    stalls = crowd.evaluate("stalls")
    skip_where_busy(f"{stalls} ms")
    assert max(stalls, default=0) <= MOST_STALL_MS, stalls


OWN_BYTES = """() => performance.getEntriesByType("resource").concat(performance.getEntriesByType("navigation"))
    .filter((entry) => !entry.name.includes("/v1/")).reduce((sum, entry) => sum + entry.transferSize, 0)"""
READY_MS = "performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"
EARLY_STALLS = """() => {
    globalThis.stalls = [];
    new PerformanceObserver((list) => stalls.push(...list.getEntries().map((entry) => entry.duration)))
        .observe({ type: "longtask", buffered: true });
}"""


@pytest.mark.parametrize("kind", ["image", "audio"])
def test_item_is_light_soon_usable_and_drawn_without_a_stall(crowd: Page, crowded: Console, kind: str) -> None:
    """A picture of 12 megapixels with its map; a minute of sound with waveform and spectrogram. Of two visits with an
    empty cache the quickest counts, as in the inbox. What the file itself weighs is not the console's."""
    photograph = Image.effect_noise((4000, 3000), 90).convert("RGB")
    item = crowded.item("large.jpg", jpeg(photograph)) if kind == "image" else crowded.item("minute.wav", wav(60.0))
    crowd.add_init_script(f"({EARLY_STALLS})()")
    visits = []
    for _ in range(2):
        crowd.context.new_cdp_session(crowd).send("Network.clearBrowserCache")
        crowd.goto(f"/items/{item}")
        expect(crowd.locator(".heat" if kind == "image" else ".spectrum").first).to_be_visible()
        expect(crowd.locator("#near")).not_to_have_attribute("aria-busy", "true")
        visits.append((crowd.evaluate(READY_MS), max(crowd.evaluate("stalls"), default=0), crowd.evaluate(OWN_BYTES)))
    assert 20_000 < max(own for *_, own in visits) <= 300_000, visits
    skip_where_busy(f"{visits}")
    assert min(ready for ready, *_ in visits) <= 1500, visits
    assert min(stall for _, stall, _ in visits) <= MOST_STALL_MS, visits
