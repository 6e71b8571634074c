"""What PostgreSQL's errors mean for a job."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors

from wellhead.domain.errors import ConfigError, CredentialsError, RetryableError

# while connecting there is only the message to go by
_REFUSED = (
    "authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "is not permitted to log in",
)
_ABSENT = ("database", "does not exist")


@contextmanager
def translated() -> Iterator[None]:
    """Raise database errors as what should happen next."""
    try:
        yield
    except (errors.InvalidPassword, errors.InvalidAuthorizationSpecification) as error:
        raise CredentialsError(_text(error)) from error
    except errors.QueryCanceled as error:
        raise RetryableError(_text(error)) from error
    except psycopg.OperationalError as error:
        raise _connecting(_text(error)) from error
    except psycopg.Error as error:
        # a table, a column, a right or the query itself: someone has to change it
        raise ConfigError(_text(error)) from error


def _connecting(text: str) -> Exception:
    if any(part in text for part in _REFUSED) or (
        "role" in text and "does not exist" in text
    ):
        return CredentialsError(text)
    if all(part in text for part in _ABSENT):
        return ConfigError(text)
    return RetryableError(text)


def _text(error: psycopg.Error) -> str:
    return error.diag.message_primary or str(error).strip() or type(error).__name__
