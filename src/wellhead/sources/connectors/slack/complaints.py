"""What Slack means: it answers 200 to everything, and the body says what is wrong."""

import json
import re
from typing import Any

from wellhead.domain.errors import CredentialsError, RetryableError, SyncError
from wellhead.sources.http import Answer, DeniedError, GoneError, RefusedError
from wellhead.sources.http.judge import DEFAULT_WAIT_SECONDS, retry_after

CREDENTIALS = frozenset(
    {
        *("invalid_auth", "not_authed", "account_inactive", "org_login_required"),
        *("token_revoked", "token_expired", "not_allowed_token_type"),
        *("two_factor_setup_required", "access_token_expired"),
    }
)
DENIED = frozenset(
    {
        *("missing_scope", "not_in_channel", "access_denied", "no_permission"),
        *("restricted_action", "team_access_not_granted", "ekm_access_denied"),
        "method_not_supported_for_channel_type",
    }
)
GONE = frozenset(
    {
        *("channel_not_found", "thread_not_found", "message_not_found"),
        *("user_not_found", "user_not_visible"),
    }
)
BUSY = frozenset({"ratelimited", "rate_limited"})
PASSING = frozenset(
    {
        *("internal_error", "fatal_error", "service_unavailable"),
        *("request_timeout", "team_added_to_org"),
    }
)
_BAD_REQUEST = 400
_A_CODE = re.compile(r"[a-z0-9_:,]{1,100}")


def complaint(answer: Answer) -> SyncError | None:
    """Return what an answer says in spite of its status; None if all is well."""
    if answer.body.startswith(b'{"ok":true'):
        return None  # nearly all of them, and some are long
    try:
        body = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None  # no JSON: the client finds out
    if not isinstance(body, dict) or body.get("ok") is True:
        return None
    if "ok" not in body:
        return RetryableError(f"Slack answered {answer.request} without a verdict")
    return _meant(_code(body.get("error")), answer, body)


def _meant(code: str, answer: Answer, body: dict[str, Any]) -> SyncError:
    said = f"Slack answered '{code}' to {answer.request}"
    if code in BUSY:
        after = retry_after(answer.headers)
        return RetryableError(
            said, after=DEFAULT_WAIT_SECONDS if after is None else after
        )
    if code in PASSING:
        return RetryableError(said)
    if code in CREDENTIALS:
        return CredentialsError(said)
    if code in GONE:
        return GoneError(said)
    if code in DENIED:
        needed = body.get("needed")
        more = f": the token needs the scope {_code(needed)}" if needed else ""
        return DeniedError(f"{said}{more}")
    return RefusedError(said, status=_BAD_REQUEST)


def _code(value: Any) -> str:
    """Return a code as Slack has them: nothing that repeats what was sent."""
    text = str(value)
    return text if _A_CODE.fullmatch(text) else "an unknown error"
