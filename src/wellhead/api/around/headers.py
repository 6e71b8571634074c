"""Reading one header of a request: each layer does it for each request."""

from starlette.types import Scope


def value_of(scope: Scope, name: bytes) -> bytes | None:
    """Return the first header of this name, which is in lower case."""
    for found, value in scope["headers"]:
        if found == name:
            return bytes(value)
    return None
