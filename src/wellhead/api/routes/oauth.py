"""Consent in a browser: no source asks for it yet, so no session is ever open.

The paths are there because clients know them; each says what can be done instead.
"""

from uuid import UUID

from pydantic import BaseModel

from wellhead.api.deps import Services, Tenant
from wellhead.api.routing import SlashRouter
from wellhead.domain.connections import AuthMethod
from wellhead.domain.errors import BadRequestError, NotFoundError
from wellhead.services import connections

router = SlashRouter(
    prefix="/source-connections", tags=["source-connections"], include_in_schema=False
)


class Claim(BaseModel):
    claim_token: str


@router.get("/callback")
async def finish_consent(
    state: str | None = None,
    code: str | None = None,
    oauth_token: str | None = None,
    oauth_verifier: str | None = None,
) -> None:
    """Where a provider sends the browser back to; it has no key."""
    if not (state and code) and not (oauth_token and oauth_verifier):
        raise BadRequestError(
            "Invalid OAuth callback: it carries neither state and code, "
            "nor oauth_token and oauth_verifier"
        )
    raise NotFoundError("OAuth session not found or expired. Please connect again")


@router.get("/authorize/{code}")
async def follow_link(code: str) -> None:  # noqa: ARG001  # none leads anywhere
    """Where a short link of ours leads to; the browser has no key."""
    raise NotFoundError("Authorization link expired or invalid")


@router.post("/{source_connection_id}/verify-oauth")
async def verify_consent(
    source_connection_id: UUID,
    body: Claim,  # noqa: ARG001  # no token of ours is out there
    parts: Services,
    tenant: Tenant,
) -> None:
    await connections.get_connection(parts, tenant, source_connection_id)
    raise BadRequestError("No OAuth session of this connection waits to be verified")


@router.post("/{source_connection_id}/reinitiate-oauth")
async def ask_consent_again(
    source_connection_id: UUID, parts: Services, tenant: Tenant
) -> None:
    found = await connections.get_connection(parts, tenant, source_connection_id)
    if found.connection.is_authenticated and not found.needs_its_owner:
        raise BadRequestError("Connection is already authenticated")
    if found.connection.auth_method is AuthMethod.DIRECT:
        raise BadRequestError(
            "This connection was not made in a browser: "
            "send its new credentials with PATCH"
        )
    raise BadRequestError(
        "Connections cannot be authenticated in a browser here yet: "
        "create it again with a new access_token"
    )
