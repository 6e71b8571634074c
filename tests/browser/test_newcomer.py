"""From nothing to a first answer, as somebody new would go, on real files."""

import re
from pathlib import Path

from playwright.sync_api import Page, expect
from tests.browser.conftest import Visitor
from tests.browser.stage import write_notes


def test_three_steps_lead_from_an_empty_server_to_an_answer(
    visitor: Visitor, tmp_path: Path
) -> None:
    page = visitor.page
    expect(page.get_by_role("heading", level=1)).to_have_text(
        "From nothing to a first answer"
    )
    page.get_by_role("link", name="Pick a source").click()
    page.get_by_role("link", name="Files and folders").click()
    _configure(page, tmp_path)
    _watch(page)
    _ask(page)


def _configure(page: Page, folder: Path) -> None:
    """What is wrong is said at its field, and nothing that was typed is lost."""
    page.get_by_label("Path").fill("not/absolute")
    page.get_by_role("button", name="Connect and sync").click()
    expect(page.get_by_label("Path")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#config-path-problem")).to_contain_text("absolute")
    expect(page.get_by_label("Path")).to_have_value("not/absolute")
    page.get_by_label("Path").fill(str(folder / "absent"))
    page.get_by_role("button", name="Connect and sync").click()
    expect(page.get_by_role("alert")).to_contain_text("absent")
    page.get_by_label("Path").fill(str(write_notes(folder / "notes")))
    page.get_by_label("Name of the new collection").fill("Maintenance")
    page.get_by_role("button", name="Connect and sync").click()


def _watch(page: Page) -> None:
    """The page changes by itself until the job has ended."""
    page.wait_for_url(re.compile("/jobs/"))
    page.evaluate("window.wasNotReloaded = true")
    expect(page.get_by_role("link", name="Ask the collection")).to_be_visible()
    expect(page.locator("[data-count=inserted]")).to_have_text("5")
    expect(page.locator(".timeline")).to_contain_text("Completed")
    assert page.evaluate("window.wasNotReloaded") is True


def _ask(page: Page) -> None:
    page.get_by_role("link", name="Ask the collection").click()
    page.get_by_label("Your question").fill("when are the bearings changed?")
    page.get_by_role("button", name="Search").click()
    found = page.locator(".results")
    expect(found).to_contain_text("bearings of the main pump")
    expect(found.locator("mark").first).to_be_visible()
    expect(page.get_by_role("tab", name="curl")).to_have_attribute(
        "aria-selected", "true"
    )
    page.get_by_role("tab", name="MCP").click()
    expect(page.get_by_role("tabpanel")).to_contain_text("when are the bearings")
    expect(page.locator(".legend")).to_contain_text("File")
