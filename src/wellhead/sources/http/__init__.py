"""The kit for sources that read HTTP APIs: a client, paging, files, and errors."""

from wellhead.sources.http.api import (
    Answer,
    Api,
    Call,
    basic,
    bearer,
    header,
    parameter,
    path,
)
from wellhead.sources.http.client import ApiClient
from wellhead.sources.http.errors import (
    DeniedError,
    GoneError,
    RefusedError,
    TooLargeError,
)
from wellhead.sources.http.files import blob, document
from wellhead.sources.http.pages import (
    Page,
    Paging,
    Resumed,
    by_cursor,
    by_graphql,
    by_link_header,
    by_next_url,
    by_offset,
    by_page,
    field,
    pages,
)
from wellhead.sources.http.source import ApiSource
from wellhead.sources.http.tokens import StaticToken

__all__ = [
    "Answer",
    "Api",
    "ApiClient",
    "ApiSource",
    "Call",
    "DeniedError",
    "GoneError",
    "Page",
    "Paging",
    "RefusedError",
    "Resumed",
    "StaticToken",
    "TooLargeError",
    "basic",
    "bearer",
    "blob",
    "by_cursor",
    "by_graphql",
    "by_link_header",
    "by_next_url",
    "by_offset",
    "by_page",
    "document",
    "field",
    "header",
    "pages",
    "parameter",
    "path",
]
