"""What a source is: the public interface that every connector implements."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict

from wellhead.domain.catalogue import Tested
from wellhead.domain.connections import AuthMethod
from wellhead.domain.entities import Entity
from wellhead.domain.errors import ConfigError
from wellhead.domain.items import Item, Ref
from wellhead.domain.oauth import GivenToken
from wellhead.domain.oauth_provider import OAuthProvider, OAuthType
from wellhead.domain.ports import TokenProvider
from wellhead.sources.rate_limits import RateLimit
from wellhead.sources.surroundings import Surroundings


class Config(BaseModel):
    """Base of config and credential models: unknown fields are refused.

    Mark a secret with `json_schema_extra={"is_secret": True}`; title and description
    are what people see in forms.
    """

    model_config = ConfigDict(
        extra="forbid",
        str_strip_whitespace=True,
        hide_input_in_errors=True,  # a mistyped secret must not reach a log
    )


class NoConfig(Config):
    """For sources with nothing to configure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceInfo:
    """How a source presents itself in the catalogue."""

    short_name: str
    name: str
    description: str
    entity_types: tuple[str, ...]
    auth_methods: tuple[AuthMethod, ...] = (AuthMethod.DIRECT,)
    labels: tuple[str, ...] = ()
    supports_continuous: bool = False
    is_incremental: bool = False
    """Reads from a cursor; every job with one is incremental unless forced."""
    yields_deletes: bool = False
    """Incremental reads tell of deletes, so no ids-only reconcile is needed."""
    is_window: bool = False
    """Shows what is new only: what it does not show any more is kept."""
    tells_access: bool = False
    """Says of its entities who may see them, at least where its config asks for it."""
    tested: Tested = Tested.COMMUNITY
    is_demo: bool = False
    needs_trust: bool = False
    """Reads with rights that are the server's own: its disk, its network, its ssh keys.
    A Connect session offers it to end users only where an API key's holder named it.
    """
    oauth_type: OAuthType | None = None
    """How its OAuth tokens live, for sources that can be connected with one."""
    oauth: OAuthProvider | None = None
    """Who gives consent, if Wellhead does not know it by the source's short name."""
    rate_limit: RateLimit | None = None
    """What its vendor allows; all workers together keep to it."""

    @property
    def needs_own_client(self) -> bool:
        """Consent in a browser works only with an OAuth client of the owner's own."""
        return (
            AuthMethod.OAUTH_BYOC in self.auth_methods
            and AuthMethod.OAUTH_BROWSER not in self.auth_methods
        )


class Source(ABC):
    """Reads one customer's data: yields items, touches nothing else.

    Construct with validated models. Errors are raised by what should happen next
    (wellhead.domain.errors): CredentialsError, ConfigError, RetryableError,
    CursorInvalidError; one thing that cannot be read is yielded as Failure.
    Blocking work belongs in a thread (`asyncio.to_thread`); CancelledError means stop.
    """

    info: ClassVar[SourceInfo]
    is_federated: ClassVar[bool] = False
    """Whether it is asked at every search instead of being synced."""
    config_model: ClassVar[type[Config]] = NoConfig
    credentials_model: ClassVar[type[Config]] = NoConfig
    tokens: TokenProvider
    """Where an OAuth source gets its access token before each request. The one in its
    credentials may have ended since; this one is renewed."""

    def __init__(self, config: Any, credentials: Any) -> None:
        """Keep the validated models (subclasses name their types); do no I/O."""
        self.config = config
        self.credentials = credentials
        self.tokens = GivenToken(getattr(credentials, "access_token", ""))
        self.surroundings = Surroundings()

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        credentials: dict[str, Any],
        surroundings: Surroundings | None = None,
    ) -> Self:
        """Validate both and construct. Raises pydantic.ValidationError."""
        source = cls(
            cls.config_model.model_validate(config),
            cls.credentials_model.model_validate(credentials),
        )
        if surroundings is not None:
            source.surroundings = surroundings
        return source

    @abstractmethod
    async def check(self) -> None:
        """Prove that a job could start now; raises CredentialsError or ConfigError."""

    @abstractmethod
    def read(self, cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        """Yield the source's items, with a cursor only what changed since.

        A cursor is the token of a past Checkpoint. After a crash a job calls this
        again with its own last checkpoint, also within a full listing, so a token
        must say how to go on with that listing.
        """

    def fetch(self, refs: Sequence[Ref]) -> AsyncIterator[Item] | None:  # noqa: ARG002
        """Yield these entities anew (Upsert, Delete or Failure), None if it cannot."""
        return None

    def ids(self) -> AsyncIterator[Item] | None:
        """Yield ScopeStart, Seen… and ScopeEnd of all that lives, None if it cannot.

        Where the same answers show how things look, an Upsert says more than a Seen:
        changes that the cursor missed are found with the deletes.
        """
        return None

    async def close(self) -> None:  # noqa: B027  # most sources hold nothing open
        """Release connections and temporary files."""


class FederatedSource(Source):
    """Is asked at every search, and never synced: nothing of it is stored."""

    is_federated = True

    @abstractmethod
    async def search(self, query: str, limit: int) -> Sequence[Entity]:
        """Return what answers best, the best first; `text` is the passage to show.

        The same question is answered in the same order, and with a lower limit by the
        beginning of it. Any text is a question; one that means nothing finds nothing.
        Raises as `check` does, and RetryableError. It is cancelled when it takes too
        long or when nobody waits for it any more.
        """

    def read(self, cursor: dict[str, Any] | None) -> AsyncIterator[Item]:  # noqa: ARG002
        raise ConfigError(f"{self.info.name} is searched live, and never synced")
