"""Who asks: the API key of a request, remembered for a few seconds."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from starlette.requests import Request

from wellhead.domain.audit import ANYONE, Actor, ActorKind
from wellhead.domain.errors import (
    ForbiddenError,
    InvalidInputError,
    UnauthorizedError,
)
from wellhead.domain.keys import ApiKey, key_hash
from wellhead.services import keys
from wellhead.services.organizations import ensure_organization
from wellhead.services.parts import Parts

REMEMBER = timedelta(seconds=5)
"""A key revoked in another process is refused after this long at the latest."""
_MOST_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and for which organization."""

    organization_id: UUID
    actor: Actor
    key: ApiKey | None = None
    """Absent where keys are not asked for."""


@dataclass(slots=True)
class KeyRing:
    """Finds who makes a request, usually without asking the ledger."""

    parts: Parts
    is_required: bool
    _known: dict[bytes, tuple[ApiKey, datetime]] = field(default_factory=dict)
    _forgotten: int = 0
    _first_organization: UUID | None = None

    async def caller_of(self, request: Request) -> Caller:
        """Return who asks; UnauthorizedError or ForbiddenError otherwise."""
        if not self.is_required:
            actor = replace(ANYONE, request_id=request.state.request_id)
            return Caller(await self._first(), actor)
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
        return Caller(key.organization_id, _actor_of(key, request), key)

    def forget(self) -> None:
        """Ask the ledger again for every key: some were revoked or changed."""
        self._known.clear()
        self._forgotten += 1

    async def _find(self, plain: str) -> ApiKey:
        hashed, now = key_hash(plain), self.parts.clock.now()
        known = self._known.get(hashed)
        if known is not None and now - known[1] < REMEMBER:
            return known[0]
        self._known.pop(hashed, None)
        before = self._forgotten
        key = await keys.find_key(self.parts, plain)
        if len(self._known) >= _MOST_REMEMBERED:
            self._known.clear()
        if before == self._forgotten:  # else it may just have been revoked
            self._known[hashed] = (key, now)
        return key

    async def _first(self) -> UUID:
        if self._first_organization is None:
            organization = await ensure_organization(self.parts)
            self._first_organization = organization.id
        return self._first_organization


def _actor_of(key: ApiKey, request: Request) -> Actor:
    return Actor(
        kind=ActorKind.API_KEY,
        name=f"{key.name} ({key.prefix}…)",
        key_id=key.id,
        request_id=request.state.request_id,
    )


def _given_key(request: Request) -> str | None:
    """Return the key of either header that clients use."""
    given = {one.strip() for one in request.headers.getlist("x-api-key")} - {""}
    if len(given) > 1:
        raise InvalidInputError(
            "Different keys were sent as X-API-Key", field="header.x-api-key"
        )
    if given:
        return given.pop()
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
