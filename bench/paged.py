"""Serves pages of made-up records, for `bench.sources`."""

import argparse
import json
import socket

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bench import corpus


def bodies(count: int, size: int) -> list[bytes]:
    """Return the pages, each of which names the next."""
    tickets = list(corpus.tickets(count * size))
    made = []
    for page in range(count):
        records = [
            {
                "id": str(number),
                "title": title,
                "body": body,
                "status": status,
                "changed": "2026-01-01T00:00:00Z",
                "author": {"id": f"user-{number % 97}", "name": "An Author"},
            }
            for number, title, status, body in tickets[page * size : (page + 1) * size]
        ]
        after = str(page + 1) if page + 1 < count else None
        made.append(json.dumps({"records": records, "next": after}).encode())
    return made


def create_app(answers: list[bytes]) -> Starlette:
    async def records(request: Request) -> Response:
        page = int(request.query_params.get("page") or 0)
        return Response(answers[page], media_type="application/json")

    return Starlette(routes=[Route("/records", records)])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("pages", type=int)
    parser.add_argument("records", type=int, help="on a page")
    parser.add_argument("--socket", type=int, required=True)
    given = parser.parse_args()
    config = uvicorn.Config(
        create_app(bodies(given.pages, given.records)),
        log_config=None,
        access_log=False,
        lifespan="off",
    )
    uvicorn.Server(config).run([socket.socket(fileno=given.socket)])


if __name__ == "__main__":
    main()
