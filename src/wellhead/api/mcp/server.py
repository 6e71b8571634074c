"""The MCP server: the SDK's, made anew for each request, as there are no sessions.

Whichever process answers the next request needs to know nothing of this one.
"""

import json
from collections.abc import Awaitable
from functools import cache
from typing import Any, TypeVar
from uuid import UUID

import anyio
import psycopg
from mcp import types
from mcp.server.lowlevel import Server
from mcp.server.streamable_http import StreamableHTTPServerTransport
from mcp.shared.exceptions import McpError
from pydantic import AnyUrl, ValidationError
from sqlalchemy.exc import DataError
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Message, Receive, Scope, Send

from wellhead import __version__
from wellhead.api.errors import answer_unexpected
from wellhead.api.mcp import resources
from wellhead.api.mcp.addresses import ENTITY
from wellhead.api.mcp.schemas import schema_of
from wellhead.api.mcp.tools import TOOLS, Asker, Tool, tools_for
from wellhead.domain.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    RequestError,
    UnavailableError,
)
from wellhead.domain.principals import Principal
from wellhead.services.parts import Parts

INSTRUCTIONS = """\
Wellhead holds what was synced from files, repositories, databases and apps, in \
collections that can be searched. If you do not know which collection to ask, call \
list_collections. Then search; each result is a passage with the uri of its entity: \
read_entity shows what is around it or the whole text. Say where an answer is from: by \
the entity's name, and its web_url if it has one. If something recent is missing, \
job_status tells when its connection was last synced, and trigger_sync starts a sync."""
RESOURCE_NOT_FOUND = -32002
"""The protocol's own code."""
TEXT = "text/plain"
_LONGEST_CURSOR = 10
_SHOWN = 100
_MOST_PROBLEMS = 5
_UNSTORABLE = (DataError, psycopg.DataError, UnicodeEncodeError)

Result = TypeVar("Result")


class UnexpectedError(RequestError):
    """Says in public words what nobody expected."""

    status = 500


async def answer(
    parts: Parts,
    organization_id: UUID,
    principal: Principal | None,
    scope: Scope,
    receive: Receive,
    send: Send,
) -> None:
    """Answer one request as JSON, by the SDK's own transport."""
    body = await Request(scope, receive).body()
    if not _is_json(body):
        await _not_json(scope, receive, send)
        return
    transport = StreamableHTTPServerTransport(None, is_json_response_enabled=True)
    asker = Asker(parts, organization_id, principal)
    server = Tools(asker, scope).server()
    async with transport.connect() as (reads, writes), anyio.create_task_group() as go:

        async def run() -> None:
            options = server.create_initialization_options()
            await server.run(reads, writes, options, stateless=True)

        go.start_soon(run)
        await transport.handle_request(scope, _again(body, receive), _numbered(send))
        await transport.terminate()


class Tools:
    """Does what one request asks, for its asker; refusals say what to do."""

    def __init__(self, asker: Asker, scope: Scope) -> None:
        self._asker, self._scope = asker, scope
        self._tools = tools_for(asker)

    def server(self) -> "Server[Any, Any]":
        server: Server[Any, Any] = Server(
            "wellhead", version=__version__, instructions=INSTRUCTIONS
        )
        server.request_handlers |= {
            types.ListToolsRequest: self._list_tools,
            types.CallToolRequest: self._call,
            types.ListResourcesRequest: self._list_resources,
            types.ListResourceTemplatesRequest: self._list_templates,
            types.ReadResourceRequest: self._read,
        }
        return server

    async def _list_tools(self, _: types.ListToolsRequest) -> types.ServerResult:
        return types.ServerResult(
            types.ListToolsResult(tools=[_listed(name) for name in self._tools])
        )

    async def _call(self, request: types.CallToolRequest) -> types.ServerResult:
        tool = self._tools.get(request.params.name)
        if tool is None:
            names = ", ".join(self._tools)
            raise _error(types.INVALID_PARAMS, f"There is no such tool, but: {names}")
        try:
            taken = tool.takes.model_validate(request.params.arguments or {})
            done = await self._guarded(tool.do(self._asker, taken))
        except ValidationError as error:
            return _refused(_problems(tool, error))
        except RequestError as error:
            return _refused(f"{_sentence(error)} {_hint(tool, error)}".strip())
        text = types.TextContent(type="text", text=done.text())
        return types.ServerResult(
            types.CallToolResult(content=[text], structuredContent=done.data())
        )

    async def _list_resources(
        self, request: types.ListResourcesRequest
    ) -> types.ServerResult:
        cursor = request.params and request.params.cursor
        if cursor and not (cursor.isdecimal() and len(cursor) < _LONGEST_CURSOR):
            raise _error(types.INVALID_PARAMS, "This cursor was not given out here")
        skip = int(cursor or 0)
        try:
            found = await self._guarded(
                resources.list_resources(self._asker, skip=skip)
            )
        except RequestError as error:
            raise _error(types.INTERNAL_ERROR, error.message) from error
        listed = [
            types.Resource(
                uri=AnyUrl(one.address),
                name=one.name,
                description=one.description,
                mimeType=TEXT,
            )
            for one in found
        ]
        after = str(skip + len(found)) if len(found) == resources.PAGE else None
        return types.ServerResult(
            types.ListResourcesResult(resources=listed, nextCursor=after)
        )

    async def _list_templates(
        self, _: types.ListResourceTemplatesRequest
    ) -> types.ServerResult:
        entity = types.ResourceTemplate(
            uriTemplate=ENTITY,
            name="entity",
            title="A synced entity",
            description="The text of a document as it was synced. Results of search "
            "have the uri.",
            mimeType=TEXT,
        )
        return types.ServerResult(
            types.ListResourceTemplatesResult(resourceTemplates=[entity])
        )

    async def _read(self, request: types.ReadResourceRequest) -> types.ServerResult:
        uri = request.params.uri
        try:
            text = await self._guarded(resources.read_resource(self._asker, str(uri)))
        except (NotFoundError, InvalidInputError) as error:
            raise _error(RESOURCE_NOT_FOUND, error.message) from error
        except RequestError as error:
            raise _error(types.INTERNAL_ERROR, error.message) from error
        contents = types.TextResourceContents(uri=uri, text=text, mimeType=TEXT)
        return types.ServerResult(types.ReadResourceResult(contents=[contents]))

    async def _guarded(self, doing: Awaitable[Result]) -> Result:
        """Await; what is no refusal is logged, and told in public words only."""
        try:
            return await doing
        except RequestError:
            raise
        except _UNSTORABLE as error:
            raise UnexpectedError(
                "An argument holds a character or a number that cannot be stored"
            ) from error
        except Exception as error:  # noqa: BLE001  # the SDK would tell its words
            answered = answer_unexpected(self._scope, error)
            raise UnexpectedError(json.loads(bytes(answered.body))["detail"]) from None


@cache
def _listed(name: str) -> types.Tool:
    tool = TOOLS[name]
    return types.Tool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        inputSchema=schema_of(tool.takes),
        outputSchema=schema_of(tool.gives, "serialization"),
        annotations=types.ToolAnnotations(
            title=tool.title,
            readOnlyHint=tool.is_reading,
            destructiveHint=False,
            idempotentHint=tool.is_reading,
            openWorldHint=not tool.is_reading,
        ),
    )


def _refused(said: str) -> types.ServerResult:
    # names of unknown arguments may be no text at all
    plain = said.encode("utf-8", "replace").decode("utf-8")
    text = types.TextContent(type="text", text=plain)
    return types.ServerResult(types.CallToolResult(content=[text], isError=True))


def _sentence(error: RequestError) -> str:
    field = error.field if isinstance(error, InvalidInputError) else None
    return f"{field}: {error.message}." if field else error.message.rstrip(".") + "."


def _hint(tool: Tool, error: RequestError) -> str:
    match error:
        case NotFoundError():
            return tool.not_found
        case ConflictError():
            return tool.conflict
        case UnavailableError():
            return "Try again in a few seconds."
        case _:
            return ""


def _problems(tool: Tool, error: ValidationError) -> str:
    """Say what is wrong with which argument, never what was sent."""
    found = []
    for one in error.errors(include_url=False, include_input=False):
        where = ".".join(str(step) for step in one["loc"])
        said = one["msg"].removeprefix("Value error, ")
        if one["type"] == "extra_forbidden":
            said = "there is no such argument"
        found.append(f"{where[:_SHOWN]}: {said}" if where else said)
    names = ", ".join(tool.takes.model_fields)
    return f"{'; '.join(found[:_MOST_PROBLEMS])}. {tool.name} takes: {names}."


def _error(code: int, message: str) -> McpError:
    return McpError(types.ErrorData(code=code, message=message))


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True


_not_json = JSONResponse(
    {
        "jsonrpc": "2.0",
        "id": None,
        "error": {"code": types.PARSE_ERROR, "message": "The body is no JSON"},
    },
    status_code=400,
)


def _again(body: bytes, receive: Receive) -> Receive:
    """Let the body be received once more, and after it what comes."""
    waiting: list[Message] = [{"type": "http.request", "body": body}]

    async def receive_again() -> Message:
        return waiting.pop() if waiting else await receive()

    return receive_again


def _numbered(send: Send) -> Send:
    """Send the status as the number it is; the SDK's is a word in logs."""

    async def send_number(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["status"] = int(message["status"])
        await send(message)

    return send_number
