"""A real browser at the console of a real server: Debian's Chromium by Playwright."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import (
    BrowserContext,
    ConsoleMessage,
    Page,
    Playwright,
    expect,
    sync_playwright,
)
from tests.browser.stage import Stage
from tests.e2e.conftest import Program, programs

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP = {"width": 1280, "height": 860}
PHONE = {"width": 390, "height": 844}
SECONDS = 60_000
"""How long a browser waits for anything, in its milliseconds: machines are busy."""


expect.set_options(timeout=SECONDS)


def new_server(disk: Path) -> Iterator[Program]:
    """Serve with real vectors: what is found is found by meaning."""
    for program in programs(disk):
        program.more |= {
            "WELLHEAD_EMBEDDER": "minilm",
            "WELLHEAD_WEBHOOKS_ALLOW_PRIVATE": "true",
            "WELLHEAD_WEBHOOKS_VERIFY_ENDPOINTS": "false",
        }
        program.serve()
        yield program


@pytest.fixture(scope="module")
def server(quick_disk: Path) -> Iterator[Program]:
    yield from new_server(quick_disk)


@pytest.fixture(scope="module")
def stage(server: Program, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """Something of everything on the server."""
    headers = {"x-api-key": server.key}
    with httpx.Client(
        base_url=server.served["url"], headers=headers, timeout=60
    ) as client:
        made = Stage(client, tmp_path_factory.mktemp("notes"))
        made.fill()
        return made


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as found:
        yield found


def open_browser(
    playwright: Playwright, program: Path, *, is_phone: bool, theme: str
) -> BrowserContext:
    """Start a browser that knows nothing."""
    return playwright.chromium.launch_persistent_context(
        "",  # a new folder for its profile, which goes with it
        executable_path=program,
        args=FLAGS,
        viewport=PHONE if is_phone else DESKTOP,  # type: ignore[arg-type]
        color_scheme="dark" if theme == "dark" else "light",
        reduced_motion="reduce",
        locale="en-GB",
        timezone_id="UTC",
    )


@dataclass
class Visitor:
    """Someone at the console, and whatever the browser complains of."""

    context: BrowserContext
    server: Program
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.context.set_default_timeout(SECONDS)
        self.page = self.context.pages[0]
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._look)

    def _hear(self, message: ConsoleMessage) -> None:
        # a page that is not there says so in its status, as it should
        is_status = "Failed to load resource" in message.text
        if message.type in ("error", "warning") and not is_status:
            self.complaints.append(message.text)

    def _look(self, request: object) -> None:
        url = str(getattr(request, "url", ""))
        if not url.startswith((self.url, "data:", "blob:", "about:")):
            self.complaints.append(f"asked {url}")

    @property
    def url(self) -> str:
        return str(self.server.served["url"])

    def go(self, path: str) -> Page:
        self.page.goto(f"{self.url}/console{path}")
        return self.page

    def sign_in(self) -> Page:
        self.go("/sign-in")
        self.page.get_by_label("API key").fill(self.server.key)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url("**/console/")
        return self.page


@pytest.fixture
def visitor(
    playwright: Playwright, server: Program, require: Callable[[str | Path], str]
) -> Iterator[Visitor]:
    """Signed in, on a wide screen; at the end the browser must not complain."""
    context = open_browser(
        playwright, Path(require(CHROMIUM)), is_phone=False, theme="light"
    )
    one = Visitor(context, server)
    one.sign_in()
    yield one
    context.close()
    assert one.complaints == []
