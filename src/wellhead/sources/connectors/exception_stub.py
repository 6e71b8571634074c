"""A demo source that goes wrong in a chosen way at a chosen moment."""

from collections.abc import AsyncIterator, Callable
from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from wellhead.domain.catalogue import Tested
from wellhead.domain.entities import Entity
from wellhead.domain.errors import (
    ConfigError,
    CredentialsError,
    CursorInvalidError,
    EntityError,
    ErrorCategory,
    FailureClass,
    JobError,
    RetryableError,
)
from wellhead.domain.items import Failure, Item, Ref, ScopeEnd, ScopeStart, Upsert
from wellhead.sources.base import Config, Source, SourceInfo
from wellhead.sources.demo import (
    StubCredentials,
    date_of,
    numbers,
    paragraph,
    version_of,
)

_CONTAINER = "ExceptionStubContainerEntity"
_ENTITY = "ExceptionStubEntity"


class ExceptionKind(StrEnum):
    """What can go wrong; the entity kinds spoil one entity, the others the run."""

    RUNTIME_ERROR = "runtime_error"
    TIMEOUT = "timeout"
    SERVER_ERROR = "server_error"
    RATE_LIMITED = "rate_limited"
    CREDENTIALS_INVALID = "credentials_invalid"
    OAUTH_CREDENTIALS_EXPIRED = "oauth_credentials_expired"
    AUTH_PROVIDER_ACCOUNT_GONE = "auth_provider_account_gone"
    AUTH_PROVIDER_CREDENTIALS_INVALID = "auth_provider_credentials_invalid"
    CONFIG_INVALID = "config_invalid"
    CURSOR_INVALID = "cursor_invalid"
    ENTITY_UNREADABLE = "entity_unreadable"
    ENTITY_CORRUPT = "entity_corrupt"
    JOB_ERROR = "job_error"


_RAISES: dict[ExceptionKind, Callable[[str], Exception]] = {
    ExceptionKind.RUNTIME_ERROR: RuntimeError,
    ExceptionKind.TIMEOUT: TimeoutError,
    ExceptionKind.SERVER_ERROR: RetryableError,
    ExceptionKind.RATE_LIMITED: lambda text: RetryableError(text, after=1.0),
    ExceptionKind.CREDENTIALS_INVALID: CredentialsError,
    ExceptionKind.OAUTH_CREDENTIALS_EXPIRED: lambda text: CredentialsError(
        text, category=ErrorCategory.OAUTH_CREDENTIALS_EXPIRED
    ),
    ExceptionKind.AUTH_PROVIDER_ACCOUNT_GONE: lambda text: CredentialsError(
        text, category=ErrorCategory.AUTH_PROVIDER_ACCOUNT_GONE
    ),
    ExceptionKind.AUTH_PROVIDER_CREDENTIALS_INVALID: lambda text: CredentialsError(
        text, category=ErrorCategory.AUTH_PROVIDER_CREDENTIALS_INVALID
    ),
    ExceptionKind.CONFIG_INVALID: ConfigError,
    ExceptionKind.CURSOR_INVALID: CursorInvalidError,
    ExceptionKind.ENTITY_UNREADABLE: lambda text: EntityError(
        text, failure_class=FailureClass.TRANSIENT
    ),
    ExceptionKind.ENTITY_CORRUPT: EntityError,
    ExceptionKind.JOB_ERROR: JobError,
}


class ExceptionStubConfig(Config):
    entity_count: int = Field(
        10,
        ge=0,
        le=10_000,
        title="Entity count",
        description="How many entities to generate.",
    )
    seed: int = Field(
        42, title="Seed", description="The same seed gives the same content."
    )
    exception_type: ExceptionKind = Field(
        ExceptionKind.RUNTIME_ERROR,
        title="Exception",
        description="What goes wrong.",
    )
    auth_provider_kind: Literal["composio", "pipedream", "klavis", "custom"] = Field(
        "custom",
        title="Auth provider",
        description="Named in the message of the auth provider errors.",
    )
    trigger_after: int = Field(
        5,
        ge=-1,
        title="Trigger after",
        description=(
            "Go wrong after this many entities: 0 at once, -1 after the last; "
            "a number not below the count means never."
        ),
    )
    error_message: str | None = Field(
        None, title="Message", description="The message of the error."
    )
    fail_on_validate: bool = Field(
        default=False,
        title="Fail on validation",
        description="Go wrong already when the connection is checked.",
    )

    def error(self) -> Exception:
        """Return what goes wrong."""
        text = f"The exception stub raises {self.exception_type}, as configured"
        if self.exception_type.value.startswith("auth_provider"):
            text = f"{text} ({self.auth_provider_kind})"
        return _RAISES[self.exception_type](self.error_message or text)


class ExceptionStubSource(Source):
    """Raises every error a source may raise, and some it must not."""

    info = SourceInfo(
        short_name="exception_stub",
        name="Exception stub",
        description="Goes wrong in a chosen way at a chosen moment.",
        entity_types=(_CONTAINER, _ENTITY),
        labels=("Demo",),
        tested=Tested.FAKE,
        is_demo=True,
    )
    config_model = ExceptionStubConfig
    credentials_model = StubCredentials
    config: ExceptionStubConfig

    async def check(self) -> None:
        if self.config.fail_on_validate:
            raise self.config.error()

    async def read(self, cursor: dict[str, Any] | None) -> AsyncIterator[Item]:  # noqa: ARG002
        """Yield entities, and at the chosen moment the trouble."""
        count, after = self.config.entity_count, self.config.trigger_after
        yield ScopeStart()
        if after == 0:
            yield self._trouble(0)
        yield Upsert(_container(self.config))
        for index in range(count):
            if index == after and index > 0:
                yield self._trouble(index)
            yield Upsert(_entity(self.config, index))
        if after == -1:
            yield self._trouble(count)
        yield ScopeEnd()

    def _trouble(self, index: int) -> Failure:
        error = self.config.error()
        if not isinstance(error, EntityError):
            raise error
        ref = Ref(_ENTITY, f"exception-stub-{self.config.seed}-broken-{index}")
        return Failure(ref, str(error), error.failure_class, error.stage)


def _container(config: ExceptionStubConfig) -> Entity:
    return Entity(
        type=_CONTAINER,
        source_id=f"exception-stub-{config.seed}",
        name="Exception stub container",
        text="Holds the entities of the exception demo source.",
        source_version="1",
        created_at=date_of(0),
        updated_at=date_of(0),
        raw={"seed": config.seed},
    )


def _entity(config: ExceptionStubConfig, index: int) -> Entity:
    return Entity(
        type=_ENTITY,
        source_id=f"exception-stub-{config.seed}-{index}",
        name=f"Exception stub {index}",
        text=paragraph(numbers(config.seed, "exception", index), 3),
        source_version=version_of(config.seed),
        created_at=date_of(index),
        updated_at=date_of(index),
        raw={"sequence_number": index, "seed": config.seed},
    )
