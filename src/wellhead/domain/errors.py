"""Every error of the product, grouped by what should happen next.

WellheadError
├── RequestError              told to the caller, with an HTTP status
│   ├── BadRequestError 400   ├── UnauthorizedError 401  ├── ForbiddenError 403
│   ├── NotFoundError 404     ├── ConflictError 409      ├── InvalidInputError 422
│   ├── GoneError 410         ├── UnavailableError 503   └── NotConfiguredError 503
├── SyncError                 decides what a running job does
│   ├── RetryableError        try the same thing again, after a wait
│   ├── EntityError           this entity alone fails; the job goes on
│   │   └── RefusedTextsError  some texts of a call have no vector, others do
│   ├── CredentialsError      the job fails, the connection pauses
│   ├── ConfigError           the job fails, the connection pauses
│   ├── CursorInvalidError    the job starts again as a full one
│   ├── FencedError           someone else owns the job: stop without a word
│   └── JobError              the job fails with this reason
│       └── EmbedderError     no text can be embedded, whichever it is
└── StartError                the program cannot start; says what to do
"""

from enum import StrEnum


class WellheadError(Exception):
    """Base of all errors raised on purpose."""


class RequestError(WellheadError):
    """An answer to a caller: the message is public."""

    status = 400

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BadRequestError(RequestError):
    status = 400


class UnauthorizedError(RequestError):
    status = 401


class ForbiddenError(RequestError):
    status = 403


class NotFoundError(RequestError):
    status = 404


class ConflictError(RequestError):
    status = 409


class GoneError(RequestError):
    """It was there, and its time is over."""

    status = 410


class InvalidInputError(RequestError):
    """One field of the input is wrong; `field` is its dotted location, if known."""

    status = 422

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class UnavailableError(RequestError):
    status = 503


class NotConfiguredError(RequestError):
    """Nobody set this up: to ask again soon does not help."""

    status = 503


class SyncError(WellheadError):
    """Something a sync job has to react to."""


class RetryableError(SyncError):
    """Try again; a source sets `after` (seconds) when it was told how long to wait."""

    def __init__(self, message: str, *, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


class FailureStage(StrEnum):
    """Where on its way an entity failed."""

    READ = "read"
    CONVERT = "convert"
    CHUNK = "chunk"
    EMBED = "embed"
    INDEX = "index"


class FailureClass(StrEnum):
    """Whether trying the same content again can help."""

    TRANSIENT = "transient"
    PERMANENT = "permanent"


class EntityError(SyncError):
    """One entity cannot be processed; the others can."""

    def __init__(
        self,
        message: str,
        *,
        stage: FailureStage = FailureStage.READ,
        failure_class: FailureClass = FailureClass.PERMANENT,
    ) -> None:
        super().__init__(message)
        self.stage = stage
        self.failure_class = failure_class


class RefusedTextsError(EntityError):
    """Some texts of a call have no vector: those at the places `refused`.

    `vectors` has a row for each text, which means nothing at those places, so that
    the other texts need not be embedded again.
    """

    def __init__(
        self,
        message: str,
        *,
        failure_class: FailureClass,
        refused: frozenset[int],
        vectors: memoryview,
    ) -> None:
        super().__init__(message, stage=FailureStage.EMBED, failure_class=failure_class)
        self.refused = refused
        self.vectors = vectors


class ErrorCategory(StrEnum):
    """Why a connection needs its owner's attention (values of the public contract)."""

    OAUTH_CREDENTIALS_EXPIRED = "oauth_credentials_expired"
    API_KEY_INVALID = "api_key_invalid"
    AUTH_PROVIDER_ACCOUNT_GONE = "auth_provider_account_gone"
    AUTH_PROVIDER_CREDENTIALS_INVALID = "auth_provider_credentials_invalid"
    CONFIG_INVALID = "config_invalid"
    SOURCE_UNAVAILABLE = "source_unavailable"
    DISK_FULL = "disk_full"


CREDENTIALS = frozenset(
    {
        ErrorCategory.API_KEY_INVALID,
        ErrorCategory.OAUTH_CREDENTIALS_EXPIRED,
        ErrorCategory.AUTH_PROVIDER_ACCOUNT_GONE,
        ErrorCategory.AUTH_PROVIDER_CREDENTIALS_INVALID,
    }
)
"""Categories that new credentials mend; the values the public contract names."""


class CredentialsError(SyncError):
    """The source refused the credentials."""

    def __init__(
        self,
        message: str,
        *,
        category: ErrorCategory = ErrorCategory.API_KEY_INVALID,
    ) -> None:
        super().__init__(message)
        self.category = category


class ConfigError(SyncError):
    """What the connection points at does not exist or cannot be used."""

    category = ErrorCategory.CONFIG_INVALID


class CursorInvalidError(SyncError):
    """The source no longer accepts the stored cursor (HTTP 410 and its kin)."""


class FencedError(SyncError):
    """The job row is no longer ours in a state we may write from."""


class JobError(SyncError):
    """The job cannot go on."""

    def __init__(self, message: str, *, category: ErrorCategory | None = None) -> None:
        super().__init__(message)
        self.category = category


class EmbedderError(JobError):
    """The embedder refuses the key, stays away, or is not what it was said to be."""


class StartError(WellheadError):
    """The program cannot start; the message says what to do about it."""
