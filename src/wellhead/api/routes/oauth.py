"""Consent in a browser: the way to the provider, the way back, and what follows."""

from uuid import UUID

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, Field

from wellhead.api.deps import PublicServices, Services, Tenant, reached_by
from wellhead.api.pages import HEADERS
from wellhead.api.routing import PrefixRouter
from wellhead.api.schemas.source_connections import SourceConnection
from wellhead.domain.errors import BadRequestError
from wellhead.services import consents
from wellhead.services.consents import Returned

router = PrefixRouter(prefix="/source-connections", tags=["source-connections"])

_ONCE = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
"""What these addresses hold is for one browser and for one time."""
_DONE = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Connected'
    "</title></head><body><p>Access was granted. You can close this page and go back "
    "to where you came from.</p></body></html>"
)


class Claim(BaseModel):
    claim_token: str = Field(
        description="As it was shown when consent was asked for.",
        examples=["n1Yh6m3v0qQk8Vd2c9RzT5wXeL7uBsJf4aGpHiKoMtE"],
    )


@router.get("/callback", include_in_schema=False)
async def finish_consent(
    parts: PublicServices,
    state: str | None = None,
    code: str | None = None,
    error: str | None = None,
    iss: str | None = None,
    oauth_token: str | None = None,
    oauth_verifier: str | None = None,
) -> Response:
    """Where a provider sends the browser back to; it has no key."""
    if state and (code or error):
        returned = Returned(state=state, code=code, error=error, issuer=iss)
    elif oauth_token and oauth_verifier:
        returned = Returned(state=oauth_token, code=oauth_verifier, is_oauth1=True)
    else:
        raise BadRequestError(
            "Invalid OAuth callback: it carries neither state and code, "
            "nor oauth_token and oauth_verifier"
        )
    back = await consents.finish(parts, returned)
    if back is None:
        return HTMLResponse(_DONE, headers=HEADERS | _ONCE)
    return RedirectResponse(back, status_code=303, headers=_ONCE)


@router.get("/authorize/{code}", include_in_schema=False)
async def follow_link(code: str, parts: PublicServices) -> Response:
    """Where a short link of ours leads to; the browser has no key."""
    page = await consents.follow_link(parts, code)
    return RedirectResponse(page, status_code=303, headers=_ONCE)


@router.post("/{source_connection_id}/verify-oauth")
async def verify_consent(
    source_connection_id: UUID, body: Claim, parts: Services, tenant: Tenant
) -> SourceConnection:
    """Start the first sync of a connection whose owner has given consent."""
    return SourceConnection.of(
        await consents.verify(parts, tenant, source_connection_id, body.claim_token)
    )


@router.post("/{source_connection_id}/reinitiate-oauth")
async def ask_consent_again(
    source_connection_id: UUID, parts: Services, tenant: Tenant, request: Request
) -> SourceConnection:
    """Ask the owner for consent again, in a browser: at `auth.auth_url`.

    For a connection whose link was not used in time, or whose access has ended.
    """
    return SourceConnection.of(
        await consents.ask_again(
            reached_by(request, parts), tenant, source_connection_id
        )
    )
