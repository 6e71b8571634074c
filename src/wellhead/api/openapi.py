"""The OpenAPI document: what the routes say, and what holds for all of them."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel

from wellhead.api.examples import REF, Schema, example_of
from wellhead.api.schemas.refusals import InvalidInput, Refusal
from wellhead.api.words import explain

TITLE = "Wellhead"
SUMMARY = "Sync apps, databases and files into collections, and search them."
DESCRIPTION = """\
Make a **collection**, connect **sources** to it, and search what they hold. Every
success is 200. Times are UTC and end in `Z`. A path works with and without a slash at
its end. Send the API key as `X-API-Key` or as `Authorization: Bearer`; with
`X-Organization-ID` a request is refused unless the key belongs to that organization.
"""
TAGS = {
    "sources": "What can be connected, and the fields that each source asks for.",
    "collections": "What is searched: the entities of one or more connections.",
    "search": "Searching a collection.",
    "source-connections": "Configured sources, their sync jobs and what failed.",
    "webhooks": "Being told about events, and what was told.",
    "api-keys": "The keys of the organization.",
    "auth-providers": "Connections to those who keep credentials for others.",
    "connect": "Sessions that let an end user connect sources in a web page.",
    "organizations": "Who the keys and collections belong to.",
    "users": "The people of an organization.",
    "audit": "Who did what.",
    "usage": "What has been used, and whether there is more.",
    "progress": "Following a job while it runs.",
    "health": "Whether this process lives and can serve.",
}
SCHEMES = {
    "ApiKeyAuth": {
        "type": "apiKey",
        "in": "header",
        "name": "x-api-key",
        "description": "An API key of the organization.",
    },
    "BearerAuth": {
        "type": "http",
        "scheme": "bearer",
        "description": "The same API key, for clients that send it this way.",
    },
}
EITHER: list[dict[str, list[str]]] = [{name: []} for name in SCHEMES]

REFUSALS = {
    400: "It is not possible, such as a name that is taken; or the body is no text.",
    401: "No key was sent; or the token's session is over.",
    403: "The key is unknown, revoked or expired, or may not do this.",
    404: "It is not there, or belongs to another organization.",
    409: "The state does not allow it.",
    410: "It was there and has expired.",
    413: "The body is larger than 10 MiB.",
    422: "A field is wrong; `errors` and `detail` name each.",
    429: "Too many requests; `Retry-After` says when to come back.",
    500: "A bug.",
    502: "The source did not answer.",
    503: "The database, the embedder or a language model is away, or others were"
    " changing the same; `Retry-After` says when to come back.",
    504: "It took too long.",
}
LATER = (429, 503)
"""Refusals that say in seconds when to come back."""
FROM_EVERYONE = (500, 503, 504)
TO_EVERY_KEY = (401, 403, 422, 429)

ALSO: dict[str, tuple[int, ...]] = {
    "create_subscription": (400,),
    "change_subscription": (400,),
    "recover_messages": (409,),
    "get_subscription": (409,),
    "list_messages": (404,),
    "create_connection": (404, 502),
    "connect_source": (404, 502),
    "create_session": (404,),
    "run_connection": (409,),
    "ask_consent_again": (400, 502),
    "cancel_job": (409,),
    "delete_key": (404,),
    "list_entity_types": (404,),
    "rotate_key": (409,),
    "retry_failures": (409,),
    "erase_entity": (409,),
    "allow_entity": (409,),
    "add_source": (409,),
    "remove_source": (409,),
}
"""What single operations refuse beyond what others like them do."""


def describe(app: FastAPI) -> None:
    """Let the application answer with this document, made when first asked for."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way


def name_operation(route: APIRoute) -> str:
    """Name an operation after its function: stable while paths move."""
    return route.name


def operations(document: Schema) -> Iterator[tuple[str, str, Schema]]:
    """Return each operation with its method and path."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def _document(app: FastAPI) -> Schema:
    document = get_openapi(
        title=TITLE,
        version=app.version,
        summary=SUMMARY,
        description=DESCRIPTION,
        routes=app.routes,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    schemas = document["components"]["schemas"]
    for model in (Refusal, InvalidInput):
        schemas.update(_definitions(model))
    for _, path, operation in operations(document):
        _refuse(operation, path)
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    _require_what_is_always_sent(document)
    _explain(document)
    _exemplify(document)
    schemes = document["components"].get("securitySchemes", {})
    document["components"]["securitySchemes"] = {**schemes, **SCHEMES}
    used = {tag for _, _, one in operations(document) for tag in one.get("tags", ())}
    document["tags"] = [
        {"name": name, "description": said}
        for name, said in TAGS.items()
        if name in used
    ]
    return document


def _definitions(model: type[BaseModel]) -> dict[str, Schema]:
    schema = model.model_json_schema(ref_template=f"{REF}{{model}}")
    return {**schema.pop("$defs", {}), model.__name__: schema}


def _refuse(operation: Schema, path: str) -> None:
    """Declare every refusal, each with its body."""
    statuses = {*FROM_EVERYONE, *ALSO.get(operation["operationId"], ())}
    if "security" in operation:
        if "ApiKeyAuth" in str(operation["security"]):
            operation["security"] = EITHER
        statuses.update(TO_EVERY_KEY)
    else:
        operation["security"] = []
    if "parameters" in operation:
        statuses.add(422)
    if "{" in path:
        statuses.add(404)
    if "requestBody" in operation:
        statuses.update((400, 413))
    answers = operation["responses"]
    for status in statuses:
        own = answers.get(str(status), {})
        answers[str(status)] = {**_refusal(status), **_without_validation(own)}
    operation["responses"] = dict(sorted(answers.items()))


def _refusal(status: int) -> Schema:
    model = InvalidInput if status == 422 else Refusal
    answer: Schema = {
        "description": REFUSALS[status],
        "content": {"application/json": {"schema": {"$ref": REF + model.__name__}}},
    }
    if status in LATER:
        answer["headers"] = {
            "Retry-After": {
                "description": "Seconds to wait.",
                "schema": {"type": "integer", "minimum": 0},
            }
        }
    return answer


def _without_validation(answer: Schema) -> Schema:
    """Drop what FastAPI declares for every route: errors look different here."""
    return {} if "HTTPValidationError" in str(answer) else answer


def _require_what_is_always_sent(document: Schema) -> None:
    """Say of answers that no field is left out: what is not known is null."""
    schemas = document["components"]["schemas"]
    asked: set[str] = set()
    answered: set[str] = set()
    for _, _, operation in operations(document):
        asked |= _named(operation.get("requestBody"), schemas)
        answered |= _named(operation["responses"], schemas)
    for name in answered - asked:
        if "properties" in schemas[name]:
            schemas[name]["required"] = list(schemas[name]["properties"])


def _named(part: Any, schemas: dict[str, Schema]) -> set[str]:
    """Return the schemas that a part of the document refers to, and they in turn."""
    found: set[str] = set()
    waiting = [part]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting += one
        elif isinstance(one, dict):
            waiting += one.values()
            name = str(one.get("$ref", "")).removeprefix(REF)
            if name and name not in found:
                found.add(name)
                waiting.append(schemas[name])
    return found


def _explain(document: Schema) -> None:
    """Give fields and parameters that many share the words they have in common."""
    for schema in document["components"]["schemas"].values():
        for name, field in schema.get("properties", {}).items():
            explain(name, field)
    for _, _, operation in operations(document):
        for parameter in operation.get("parameters", ()):
            if "description" not in parameter:
                explain(parameter["name"], parameter)
                parameter.pop("examples", None)


def _exemplify(document: Schema) -> None:
    """Show for each body, sent or answered, what it may look like."""
    schemas = document["components"]["schemas"]
    for _, _, operation in operations(document):
        bodies = [operation.get("requestBody", {})]
        bodies += [
            answer
            for status, answer in operation["responses"].items()
            if status.startswith("2")
        ]
        for body in bodies:
            content = body.get("content", {}).get("application/json", {})
            if content and not {"example", "examples"} & set(content):
                content["example"] = example_of(content["schema"], schemas)
