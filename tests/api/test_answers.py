"""What holds for every route: slashes, errors, sizes, headers, health."""

from dataclasses import replace
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from wellhead.api.application import create_app
from wellhead.api.auth import KeyRing
from wellhead.services.parts import Parts
from wellhead.store.database import connect
from wellhead.store.reading import Reader


async def test_every_path_answers_with_and_without_a_slash(
    app: Any, anyone: httpx.AsyncClient
) -> None:
    for path, methods in app.openapi()["paths"].items():
        for method, operation in methods.items():
            for address in (path, f"{path}/"):
                response = await anyone.request(method, address)
                if operation["security"]:
                    assert response.status_code == 401, address
                else:
                    assert response.status_code in (200, 422), address


async def test_the_schema_lists_each_path_once(client: httpx.AsyncClient) -> None:
    schema = (await client.get("/openapi.json")).json()

    assert not [path for path in schema["paths"] if path.endswith("/")]
    assert not [path for path, methods in schema["paths"].items() if "head" in methods]
    assert "/source-connections/{source_connection_id}/jobs" in schema["paths"]
    assert "/collections/count" not in schema["paths"]


async def test_unknown_routes_and_methods_are_told_apart(
    client: httpx.AsyncClient,
) -> None:
    unknown = await client.get("/nothing")
    wrong = await client.put("/collections")

    assert (unknown.status_code, unknown.json()) == (404, {"detail": "Not Found"})
    assert wrong.status_code == 405
    assert wrong.json() == {"detail": "Method Not Allowed"}


async def test_malformed_json_is_invalid(client: httpx.AsyncClient) -> None:
    response = await client.post(
        "/collections",
        content=b'{"name": ',
        headers={"content-type": "application/json"},
    )

    assert response.status_code == 422
    assert response.json()["detail"][0]["type"] == "json_invalid"


async def test_a_body_above_ten_megabytes_is_too_large(
    client: httpx.AsyncClient,
) -> None:
    body = b'{"name": "' + b"x" * (10 * 1024 * 1024) + b'"}'

    async def in_pieces() -> Any:
        yield body

    for content in (body, in_pieces()):
        response = await client.post(
            "/collections",
            content=content,
            headers={"content-type": "application/json"},
        )
        assert response.status_code == 413
        assert "detail" in response.json()


@pytest.mark.parametrize("name", ["with \x00 zero", "half a pair \\ud800"])
async def test_text_that_cannot_be_stored_is_invalid(
    client: httpx.AsyncClient, name: str
) -> None:
    text = name.replace("\x00", "\\u0000")

    for path in ("/collections", "/source-connections"):
        response = await client.post(
            path,
            content=f'{{"name": "{text}", "short_name": "{text}",'
            f' "readable_collection_id": "{text}"}}'.encode(),
            headers={"content-type": "application/json"},
        )
        assert response.status_code in (404, 422)
    got = await client.get("/collections/a%00b")
    assert got.status_code in (404, 422)


async def test_a_database_that_is_away_says_when_to_come_back(
    parts: Parts, key: str
) -> None:
    nowhere = "postgresql://nobody@127.0.0.1:1/nothing"
    gone = connect(nowhere)
    reads = Reader(nowhere, wait_seconds=0.2)
    await reads.open()
    away = create_app(replace(parts, db=gone, reads=reads), auth=True)
    transport = httpx.ASGITransport(away, raise_app_exceptions=False)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://w", headers={"x-api-key": key}
    ) as asking:
        response = await asking.get("/collections")
        ready = await asking.get("/health/ready")
        app_state: Any = away.state
        app_state.key_ring = KeyRing(parts, is_required=True)
        listed = await asking.get("/collections")
        alive = await asking.get("/health/live")
    await gone.dispose()
    await reads.close()

    assert response.status_code == listed.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
    assert ready.status_code == 503
    assert ready.json()["status"] == "not_ready"
    assert ready.json()["checks"]["postgres"]["status"] == "down"
    assert alive.json() == {"status": "alive"}


@pytest.mark.parametrize("state", ["40P01", "40001"])
async def test_who_lost_to_another_request_is_told_to_ask_again_at_once(
    app: Any, parts: Parts, client: httpx.AsyncClient, state: str
) -> None:
    lose = f"DO $$ BEGIN RAISE EXCEPTION 'lost' USING ERRCODE = '{state}'; END $$"

    async def lost() -> None:
        async with parts.db.begin() as connection:
            await connection.execute(text(lose))

    app.add_api_route("/lost", lost)

    response = await client.get("/lost")

    assert response.status_code == 503
    assert response.headers["Retry-After"] == "1"
    assert "try again" in response.json()["detail"]
    assert "database" not in response.json()["detail"]


async def test_health_needs_no_key(anyone: httpx.AsyncClient) -> None:
    health = await anyone.get("/health")
    ready = await anyone.get("/health/ready/")

    assert health.json() == {"status": "healthy"}
    assert ready.json()["status"] == "ready"
    assert ready.json()["checks"]["postgres"]["status"] == "up"


async def test_an_unexpected_error_is_told_by_its_class(
    app: Any, client: httpx.AsyncClient
) -> None:
    async def break_down() -> None:
        raise KeyError("what")

    app.add_api_route("/broken", break_down)

    response = await client.get("/broken")

    assert response.status_code == 500
    said = response.json()["detail"]
    assert said.startswith("Internal Server Error: KeyError: ")
    assert "what" not in said


@pytest.mark.parametrize(
    ("origin", "status"), [("http://localhost:8080", 200), ("http://evil.test", 403)]
)
async def test_only_known_pages_may_ask_from_a_browser(
    anyone: httpx.AsyncClient, origin: str, status: int
) -> None:
    response = await anyone.options(
        "/collections",
        headers={"Origin": origin, "Access-Control-Request-Method": "GET"},
    )

    assert response.status_code == status
    assert ("access-control-allow-origin" in response.headers) == (status == 200)
