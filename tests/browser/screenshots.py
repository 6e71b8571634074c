"""Pictures of every page, light and dark, wide and narrow: `make screenshots`."""

import argparse
import tempfile
from itertools import product
from pathlib import Path

import httpx
from playwright.sync_api import sync_playwright
from tests.browser.conftest import CHROMIUM, Visitor, new_server, open_browser
from tests.browser.stage import Stage

SETTLE = 700
"""Parts that are fetched by themselves have come by then, in milliseconds."""


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("folder", type=Path)
    asked.add_argument("--only", default="", help="pages whose name contains this")
    options = asked.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    shots = 0
    with sync_playwright() as playwright:
        for server in new_server(Path("/tmp")):  # noqa: S108  # where e2e tests keep theirs
            stage = Stage(_client(server.served["url"], server.key), _notes())
            for theme, is_phone in product(("light", "dark"), (False, True)):
                context = open_browser(
                    playwright, CHROMIUM, is_phone=is_phone, theme=theme
                )
                visitor = Visitor(context, server)
                place = f"{'phone' if is_phone else 'desktop'}-{theme}"
                shots += _shoot(visitor, {"signing in": "/sign-in"}, place, options)
                visitor.sign_in()
                if not stage.pages:
                    shots += _shoot(visitor, {"home empty": ""}, place, options)
                    stage.fill()
                shots += _shoot(visitor, stage.pages, place, options)
                context.close()
    print(f"{shots} pictures in {options.folder}")  # noqa: T201  # what a command says


def _shoot(
    visitor: Visitor, pages: dict[str, str], place: str, options: argparse.Namespace
) -> int:
    wanted = {name: path for name, path in pages.items() if options.only in name}
    for name, path in wanted.items():
        page = visitor.go(path)
        page.wait_for_timeout(SETTLE)
        file = options.folder / f"{name.replace(' ', '-')}-{place}.png"
        page.screenshot(path=file, full_page=True)
    return len(wanted)


def _client(url: str, key: str) -> httpx.Client:
    return httpx.Client(base_url=url, headers={"x-api-key": key}, timeout=60)


def _notes() -> Path:
    return Path(tempfile.mkdtemp(prefix="wellhead-notes-"))


if __name__ == "__main__":
    main()
