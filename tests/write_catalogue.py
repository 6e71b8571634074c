"""Writes the table of sources in docs/sources.md, from what sources say of themselves.

python -m tests.write_catalogue
"""

import re
from pathlib import Path

from wellhead.domain.connections import AuthMethod
from wellhead.services.catalogue import SourceDescription, describe
from wellhead.sources.registry import Registry

PAGE = Path(__file__).parents[1] / "docs/sources.md"
TABLE = re.compile(r"^\| source \|.*?(?=^$)", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^##+ (`(\w+)`.*)$", re.MULTILINE)
SIGN_IN = {
    AuthMethod.DIRECT: "credentials",
    AuthMethod.OAUTH_BROWSER: "OAuth",
    AuthMethod.OAUTH_BYOC: "OAuth, own client",
    AuthMethod.OAUTH_TOKEN: "token",
    AuthMethod.AUTH_PROVIDER: "auth provider",
}


def written(page: str) -> str:
    """Return the page with the table as it should be."""
    anchors = {name: _anchor(heading) for heading, name in HEADING.findall(page)}
    lines = [
        "| source | sign-in | incremental | deletes | access lists | tested on |",
        "|---|---|---|---|---|---|",
    ]
    sources = Registry.load(include_demo=False).all()
    lines += [_line(describe(one), anchors) for one in sources]
    return TABLE.sub(lambda _: "\n".join(lines) + "\n", page, count=1)


def _line(one: SourceDescription, anchors: dict[str, str]) -> str:
    anchor = anchors.get(one.short_name, "")
    cells = (
        f"[{one.name}](#{anchor}) `{one.short_name}`",
        _sign_in(one),
        "yes" if one.is_incremental else "",
        one.deletes_found,
        "yes" if one.supports_access_control else "",
        one.tested,
    )
    return f"| {' | '.join(cells)} |".replace("|  |", "| |").replace("|  |", "| |")


def _sign_in(one: SourceDescription) -> str:
    has_nothing = AuthMethod.DIRECT in one.auth_methods and not one.credential_fields
    return "none" if has_nothing else ", ".join(SIGN_IN[by] for by in one.auth_methods)


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text("utf-8")), encoding="utf-8")
