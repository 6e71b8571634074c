"""What an object store's errors mean for a job, in words without a secret."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from obstore import exceptions

from wellhead.domain.errors import (
    ConfigError,
    CredentialsError,
    EntityError,
    FailureClass,
    RetryableError,
    SyncError,
)

_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>(.*?)</Code>")
_MESSAGE = re.compile(r"<Message>(.*?)\s*(?:\n|</Message>)")
# asking the machine's own cloud for an identity, because none was given
_IDENTITY = re.compile(r"169\.254\.|metadata\.google\.internal|metadata/identity")
# told with status 400
_REFUSED = frozenset({"ExpiredToken", "InvalidToken", "TokenRefreshRequired"})
_UNUSABLE = ("credential", "access key", "sas key", "invalid key", "private key")


@contextmanager
def translated(place: str) -> Iterator[None]:
    """Raise what went wrong with the whole store as what should happen next."""
    try:
        yield
    except exceptions.InvalidPathError:
        raise  # a key that cannot be named says nothing about the store
    except (exceptions.BaseError, OSError, ValueError) as error:
        raise _meaning(place, error) from None  # addresses may hold signatures


@contextmanager
def translated_for_one() -> Iterator[None]:
    """Raise what went wrong with one object as this object's failure."""
    try:
        yield
    except FileNotFoundError:
        raise EntityError(
            "It is no longer there", failure_class=FailureClass.TRANSIENT
        ) from None
    except (exceptions.BaseError, ValueError) as error:
        raise EntityError(
            f"It cannot be read: {_reason(error)}", failure_class=FailureClass.TRANSIENT
        ) from None


def _meaning(place: str, error: Exception) -> SyncError:
    text, reason = str(error), _reason(error)
    if _IDENTITY.search(text):
        return CredentialsError(
            f"{place} needs credentials, and the server's machine has none of its own"
        )
    status, code = _first(_STATUS, text), _first(_CODE, text)
    if status in {"401", "403"} or code in _REFUSED:
        return CredentialsError(f"{place} refused the credentials: {reason}")
    if status == "404" or isinstance(error, FileNotFoundError):
        return ConfigError(f"{place} does not exist: {reason}")
    if not status and any(part in reason.casefold() for part in _UNUSABLE):
        return CredentialsError(f"The credentials for {place} are unusable: {reason}")
    if "redirect" in reason:
        return ConfigError(f"{place} is in another region: {reason}")
    if status.startswith("4") and status not in {"408", "429"}:
        return ConfigError(f"{place} cannot be read: {reason}")
    return RetryableError(f"{place} cannot be reached: {reason}")


def _reason(error: Exception) -> str:
    """Return the store's own words, else ours, never an address with its query."""
    text = str(error).partition("\n\nDebug source")[0].strip()
    code, message = _first(_CODE, text), _first(_MESSAGE, text)
    if code or message:
        return ": ".join(part for part in (code, message) if part)
    last = text.rpartition(" - ")[2]
    return re.sub(r"\?\S+", "", last) or type(error).__name__


def _first(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found.group(1).strip() if found else ""
