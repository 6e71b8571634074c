"""Pages that live: progress, cancel, restart; and pages that everybody can use."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Playwright, expect
from playwright.sync_api import TimeoutError as NotInTime
from tests.browser.conftest import CHROMIUM, Visitor, open_browser
from tests.browser.stage import Stage
from tests.e2e.conftest import Program

AXE = Path(__file__).parents[2] / ".venv-browser/node_modules/axe-core/axe.min.js"
WIDER = """() => {
  const root = document.documentElement;
  return root.scrollWidth - root.clientWidth;
}"""
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def inserted(page: Page) -> int:
    text = page.locator("[data-count=inserted]").inner_text()
    return int(text.replace(",", ""))


def test_a_running_job_moves_and_is_cancelled_from_its_page(
    visitor: Visitor, stage: Stage
) -> None:
    page = visitor.go(stage.pages["job running"])
    page.evaluate("window.wasNotReloaded = true")
    before = inserted(page)
    page.wait_for_function(
        "before => Number(document.querySelector('[data-count=inserted]')"
        ".textContent.replaceAll(',', '')) > before",
        arg=before,
    )
    assert page.evaluate("window.wasNotReloaded") is True

    page.get_by_role("link", name="Cancel…").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Cancel this sync job?")
    expect(page.get_by_label("Take it back")).to_be_checked()
    page.get_by_role("button", name="Cancel the job").click()
    page.evaluate("window.wasNotReloaded = true")
    expect(page.locator("#live-head")).to_contain_text("was taken back", timeout=60_000)
    expect(page.locator(".timeline")).to_contain_text("Cancel requested by First key")
    assert page.evaluate("window.wasNotReloaded") is True


def test_a_page_finds_the_server_again_after_a_restart(
    visitor: Visitor, stage: Stage
) -> None:
    page = visitor.go("/jobs")
    page.evaluate("window.wasNotReloaded = true")
    lost = page.locator("#lost")

    page.evaluate("() => { document.getElementById('toasts').textContent = ''; }")
    visitor.server.until(lambda: _killed(visitor, lost), "the page misses the server")
    expect(page.locator("#toasts")).to_contain_text("The server is back.")

    expect(page.locator("#lost")).to_be_hidden()
    assert page.evaluate("window.wasNotReloaded") is True
    # what the browser says of a server that is away is no fault of the page
    visitor.complaints.clear()


def _killed(visitor: Visitor, lost: Locator) -> bool:
    """Kill the server, once more if need be: one that is back at once is not missed."""
    with suppress(ProcessLookupError):
        os.kill(visitor.server.served["processes"]["api"], signal.SIGKILL)
    with suppress(NotInTime):
        lost.wait_for(state="visible", timeout=3_000)
    return lost.is_visible()


def test_keys_and_colours_work_without_a_mouse(visitor: Visitor) -> None:
    page = visitor.go("/collections")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("/")
    expect(page.get_by_label("Search collections")).to_be_focused()
    page.keyboard.press("Escape")
    page.locator("h1").click()
    page.keyboard.press("g")
    page.keyboard.press("s")
    page.wait_for_url("**/console/sources")
    page.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.wait_for_load_state("networkidle")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()


def test_a_schedule_is_read_aloud_while_it_is_typed(
    visitor: Visitor, stage: Stage
) -> None:
    page = visitor.go(stage.pages["connection schedule"])
    page.get_by_label("Cron expression").fill("30 4 * * 1-5")
    reading = page.locator("#cron-reading")
    expect(reading).to_contain_text("Every weekday, Monday to Friday, at 04:30 UTC.")
    expect(reading.locator("li")).to_have_count(5)
    page.get_by_label("Cron expression").fill("30 4 31 2 *")
    expect(reading).to_contain_text("Invalid CRON expression")
    page.get_by_label("Cron expression").fill("0 */6 * * *")
    page.get_by_role("button", name="Save schedule").click()
    expect(page.locator("#toasts")).to_contain_text("Every 6 hours")


@pytest.mark.parametrize("is_phone", [False, True], ids=["desktop", "phone"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_page_has_a_serious_barrier_or_is_wider_than_the_screen(
    playwright: Playwright,
    server: Program,
    stage: Stage,
    require: Callable[[str | Path], str],
    theme: str,
    is_phone: bool,
) -> None:
    axe = Path(require(AXE)).read_text()
    context = open_browser(
        playwright, Path(require(CHROMIUM)), is_phone=is_phone, theme=theme
    )
    visitor = Visitor(context, server)
    wrong = []

    for name, path in {"signing in": "/sign-in", **stage.pages}.items():
        if name != "signing in" and visitor.page.url.endswith("/sign-in"):
            visitor.sign_in()
        page = visitor.go(path)
        page.wait_for_load_state()
        wrong += [f"{name}: {one}" for one in barriers(page, axe)]
        wide = page.evaluate(WIDER)
        if wide > 0:
            wrong.append(f"{name} is {wide} pixels too wide")
    context.close()

    assert not wrong, "\n".join(wrong)
    assert visitor.complaints == []


def barriers(page: Page, axe: str) -> list[str]:
    """Return what axe calls serious or critical; the debugger may run it, no page."""
    page.evaluate(axe)
    found: Any = page.evaluate(
        "rules => axe.run(document, {runOnly: rules, resultTypes: ['violations']})",
        RULES,
    )
    return [
        f"{one['id']} at {node['target']}: {' '.join(node['failureSummary'].split())}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"][:3]
    ]
