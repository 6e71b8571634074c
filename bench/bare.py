"""The floor of the API: bare FastAPI routes that have their objects in hand."""

import argparse
import json
import socket
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import TypeAdapter

from wellhead.api.schemas.collections import Collection
from wellhead.api.schemas.jobs import SourceConnectionJob
from wellhead.api.schemas.source_connections import (
    SourceConnection,
    SourceConnectionListItem,
)

MODELS: dict[str, Any] = {
    "jobs": list[SourceConnectionJob],
    "collections": list[Collection],
    "connections": list[SourceConnectionListItem],
    "connection": SourceConnection,
}


def create_app(answers: dict[str, Any]) -> FastAPI:
    """Return an application that answers `/{name}` with objects made beforehand."""
    app = FastAPI()

    def add(name: str, objects: Any) -> None:
        async def answer() -> Any:
            return objects

        app.get(f"/{name}", response_model=MODELS[name])(answer)

    for name, answer in answers.items():
        add(name, TypeAdapter(MODELS[name]).validate_python(answer))
    return app


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--socket", type=int, required=True)
    parser.add_argument("--answers", type=Path, required=True)
    given = parser.parse_args()
    app = create_app(json.loads(given.answers.read_text()))
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off")
    uvicorn.Server(config).run([socket.socket(fileno=given.socket)])


if __name__ == "__main__":
    main()
