"""The pages for people: a door, and the document as one page that needs no network.

The page has no script and asks nobody else for anything, so it also works where the
server is alone.
"""

import json
from html import escape
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from wellhead.api.examples import REF, Schema, resolve
from wellhead.api.openapi import SUMMARY, TITLE, operations

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}
MODEL = "model-"
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto;
  padding: 0 1rem; color-scheme: light dark; }
summary { cursor: pointer; padding: .2rem 0; }
summary b { display: inline-block; min-width: 4.5rem; }
details { border-bottom: 1px solid #8884; }
details > div { padding: 0 0 1rem 4.5rem; }
code, pre, summary b { font: 13px/1.5 ui-monospace, monospace; }
pre { background: #8882; padding: .7rem; overflow-x: auto; }
td, th { text-align: left; vertical-align: top; padding: .15rem 1rem .15rem 0; }
i { opacity: .7; }
"""


def add_pages(app: FastAPI) -> None:
    """Serve the pages; none of them is in the document."""
    made: list[str] = []

    async def door(request: Request) -> Response:
        if "text/html" in request.headers.get("accept", ""):
            # a browser; relative, so that a proxy may serve all this under a path
            return RedirectResponse("console", status_code=303)
        return _answer(_page(_door(app.version)))

    async def docs() -> HTMLResponse:
        if not made:
            made.append(_page(_document(app.openapi())))
        return _answer(made[0])

    app.add_api_route("/", door, include_in_schema=False)
    app.add_api_route("/docs", docs, include_in_schema=False)


def _answer(page: str) -> HTMLResponse:
    return HTMLResponse(page, headers=HEADERS)


def _page(body: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{TITLE}</title><style>{STYLE}</style></head>"
        f"<body>{body}</body></html>"
    )


def _door(version: str) -> str:
    return (
        f"<h1>{TITLE} {escape(version)}</h1><p>{escape(SUMMARY)}</p>"
        '<p><a href="console">The console</a>, for people</p>'
        '<p><a href="docs">What can be asked</a>, and the same for programs: '
        '<a href="openapi.json">openapi.json</a></p>'
    )


def _document(document: Schema) -> str:
    info = document["info"]
    parts = [
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>",
        _text(info["description"]),
        '<p>The same for programs: <a href="openapi.json">openapi.json</a></p>',
    ]
    for tag in document["tags"]:
        parts.append(f"<h2>{escape(tag['name'])}</h2>{_text(tag['description'])}")
        parts += [
            _operation(method, path, one, document["components"]["schemas"])
            for method, path, one in operations(document)
            if one.get("tags", [""])[0] == tag["name"]
        ]
    parts.append("<h2>models</h2><p>What bodies are made of.</p>")
    for name, schema in document["components"]["schemas"].items():
        parts.append(_model(name, schema))
    return "".join(parts)


def _model(name: str, schema: Schema) -> str:
    values = f"<p>{_type(schema)}</p>" if "properties" not in schema else ""
    return _folded(
        MODEL + name,
        f"<code>{escape(name)}</code>",
        _text(schema.get("description", "")) + values + _fields(schema),
    )


def _folded(anchor: str, shown: str, inside: str) -> str:
    """Fold away what is inside; a link to the anchor unfolds it."""
    return (
        f"<details><summary>{shown}</summary>"
        f'<div id="{anchor}">{inside}</div></details>'
    )


def _operation(
    method: str, path: str, operation: Schema, schemas: dict[str, Schema]
) -> str:
    inside = [
        _text(operation.get("description", "")),
        _parameters(operation.get("parameters", [])),
    ]
    body = operation.get("requestBody", {}).get("content", {})
    inside += [_content("Body", kind, one, schemas) for kind, one in body.items()]
    for status, answer in operation["responses"].items():
        if not status.startswith("2"):
            continue
        for kind, one in answer.get("content", {}).items():
            inside.append(_content(f"Answer {status}", kind, one, schemas))
    refused = [
        f"<tr><td>{status}</td><td>{_inline(answer['description'])}</td></tr>"
        for status, answer in operation["responses"].items()
        if not status.startswith("2")
    ]
    inside.append(f"<h4>Refusals</h4><table>{''.join(refused)}</table>")
    return _folded(
        operation["operationId"],
        f"<b>{method.upper()}</b><code>{escape(path)}</code> "
        f"{escape(operation['summary'])}",
        "".join(inside),
    )


def _parameters(parameters: list[Schema]) -> str:
    rows = [
        _row(
            one["name"],
            f"{one['in']}, {_type(one['schema'])}",
            one.get("description", ""),
            is_required=one.get("required", False),
        )
        for one in parameters
    ]
    return f"<h4>Parameters</h4><table>{''.join(rows)}</table>" if rows else ""


def _content(title: str, kind: str, content: Schema, schemas: dict[str, Schema]) -> str:
    schema: Schema = content.get("schema") or content.get("itemSchema") or {}
    items: Schema = schema.get("items", schema)
    shown = ""
    if "example" in content:
        example = json.dumps(content["example"], indent=2, ensure_ascii=False)
        shown = f"<pre>{escape(example)}</pre>"
    return (
        f"<h4>{title} <i>{escape(kind)}, {_type(schema)}</i></h4>"
        f"{_fields(resolve(items, schemas))}{shown}"
    )


def _fields(schema: Schema) -> str:
    rows = [
        _row(
            name,
            _type(one),
            one.get("description", ""),
            is_required=name in schema.get("required", ()),
        )
        for name, one in schema.get("properties", {}).items()
    ]
    return f"<table>{''.join(rows)}</table>" if rows else ""


def _row(name: str, kind: str, said: str, *, is_required: bool) -> str:
    required = ", required" if is_required else ""
    return (
        f"<tr><td><code>{escape(name)}</code></td>"
        f"<td><i>{kind}{required}</i></td><td>{_inline(said)}</td></tr>"
    )


def _type(schema: Schema) -> str:
    """Say in a few words what a value is, with links to models."""
    if "$ref" in schema:
        name = escape(str(schema["$ref"]).removeprefix(REF))
        return f'<a href="#{MODEL}{name}">{name}</a>'
    for union in ("anyOf", "oneOf", "allOf"):
        if union in schema:
            return " or ".join(_type(one) for one in schema[union])
    if "enum" in schema:
        return " or ".join(escape(str(one)) for one in schema["enum"])
    kind: Any = schema.get("const") or schema.get("format") or schema.get("type")
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return escape(str(kind or "anything"))


def _text(said: str) -> str:
    """Show paragraphs, and what stands in backquotes as code."""
    parts = [part for part in said.split("\n\n") if part.strip()]
    return "".join(f"<p>{_inline(part)}</p>" for part in parts)


def _inline(said: str) -> str:
    plain = escape(said.replace("**", ""))
    pieces = plain.split("`")
    return "".join(
        f"<code>{piece}</code>" if place % 2 else piece
        for place, piece in enumerate(pieces)
    )
