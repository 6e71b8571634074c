"""Who asks: the API key of a request, remembered for a few seconds."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from starlette.requests import Request

from wellhead.domain.errors import (
    ForbiddenError,
    InvalidInputError,
    UnauthorizedError,
)
from wellhead.domain.keys import ApiKey, key_hash
from wellhead.services import keys
from wellhead.services.parts import Parts

REMEMBER = timedelta(seconds=10)
"""A key revoked in another process is refused after this long at the latest."""
_MOST_REMEMBERED = 10_000


@dataclass(slots=True)
class KeyRing:
    """Finds the organization of a request, usually without asking the ledger."""

    parts: Parts
    is_required: bool
    _known: dict[bytes, tuple[ApiKey, datetime]] = field(default_factory=dict)
    _first_organization: UUID | None = None

    async def organization_of(self, request: Request) -> UUID:
        """Return who asks; UnauthorizedError or ForbiddenError otherwise."""
        if not self.is_required:
            return await self._first()
        plain = _given_key(request)
        if plain is None:
            raise UnauthorizedError("No valid authentication provided")
        key = await self._find(plain)
        keys.require_alive(self.parts, key)
        asked_for = _given_organization(request)
        if asked_for is not None and asked_for != key.organization_id:
            raise ForbiddenError(
                f"API key does not have access to organization {asked_for}"
            )
        return key.organization_id

    def forget(self) -> None:
        """Ask the ledger again for every key: some were revoked or changed."""
        self._known.clear()

    async def _find(self, plain: str) -> ApiKey:
        hashed, now = key_hash(plain), self.parts.clock.now()
        known = self._known.get(hashed)
        if known is not None and now - known[1] < REMEMBER:
            return known[0]
        self._known.pop(hashed, None)
        key = await keys.find_key(self.parts, plain)
        if len(self._known) >= _MOST_REMEMBERED:
            self._known.clear()
        self._known[hashed] = (key, now)
        return key

    async def _first(self) -> UUID:
        if self._first_organization is None:
            organization = await keys.ensure_organization(self.parts)
            self._first_organization = organization.id
        return self._first_organization


def _given_key(request: Request) -> str | None:
    """Return the key of either header that clients use."""
    plain = request.headers.get("x-api-key", "").strip()
    if plain:
        return plain
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def _given_organization(request: Request) -> UUID | None:
    text = request.headers.get("x-organization-id")
    if text is None:
        return None
    try:
        return UUID(text)
    except ValueError as error:
        raise InvalidInputError(
            "X-Organization-ID must be a UUID", field="header.x-organization-id"
        ) from error
