"""Proving, before a connection is created, that its source can be reached."""

import asyncio
from dataclasses import replace

import structlog

from wellhead.domain.connections import AuthMethod
from wellhead.domain.errors import (
    BadRequestError,
    CredentialsError,
    RequestError,
    RetryableError,
    SyncError,
)
from wellhead.sources.base import Source

CHECK_SECONDS = 30.0

log = structlog.get_logger(__name__)


class UpstreamError(RequestError):
    """The source itself did not answer as it should."""

    status = 502


class UpstreamBusyError(RequestError):
    """The source asked us to come back later."""

    status = 429

    def __init__(self, message: str, *, after: float) -> None:
        super().__init__(message)
        self.after = after


async def check_source(
    source: Source,
    method: AuthMethod,
    *,
    within_seconds: float = CHECK_SECONDS,
    allow_private: bool = False,
) -> None:
    """Let the source prove that a job could start, and close it.

    Raises a RequestError that says who refused what.
    """
    short_name = source.info.short_name
    # whoever asks is there and waiting: a rate limit is told, not waited for
    source.surroundings = replace(
        source.surroundings,
        longest_wait_seconds=0.0,
        allow_private=allow_private,
    )
    try:
        async with asyncio.timeout(within_seconds):
            await source.check()
    except CredentialsError as error:
        raise BadRequestError(_refusal(short_name, method, error)) from error
    except RetryableError as error:
        if error.after is None:
            raise UpstreamError(f"Source '{short_name}' failed: {error}") from error
        raise UpstreamBusyError(
            f"Source '{short_name}' is rate limited: {error}", after=error.after
        ) from error
    except SyncError as error:
        raise BadRequestError(
            f"Validation failed for source '{short_name}': {error}"
        ) from error
    except TimeoutError as error:
        raise UpstreamError(
            f"Source '{short_name}' did not answer within {within_seconds:g} seconds"
        ) from error
    except Exception as error:  # other people's code; its words may hold secrets
        log.warning("source check failed", short_name=short_name, exc_info=True)
        raise BadRequestError(
            f"Validation failed for source '{short_name}': {type(error).__name__}"
        ) from error
    finally:
        await _close(source)


def _refusal(short_name: str, method: AuthMethod, error: CredentialsError) -> str:
    if method is AuthMethod.OAUTH_TOKEN:
        return (
            f"Invalid or revoked OAuth access token for source '{short_name}'. "
            "Verify the token with the provider and try again."
        )
    return f"Validation failed for source '{short_name}': {error}"


async def _close(source: Source) -> None:
    try:
        await source.close()
    except Exception:  # as above; the answer is known already
        log.warning("source close failed", exc_info=True)
