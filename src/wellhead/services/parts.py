"""What the program is made of: filled once by the wiring, passed to every use case."""

from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from wellhead.domain.audit import SYSTEM, Actor
from wellhead.domain.embedding import Embedders, Former, nobody
from wellhead.domain.oauth import OAuthPolicy
from wellhead.domain.ports import Clock, Embedder, Index, LanguageModel, Reranker
from wellhead.domain.webhooks import WebhookPolicy
from wellhead.engine.procrastinate import JobEngine
from wellhead.sources.live import LiveDesk
from wellhead.sources.registry import Registry
from wellhead.store.reading import Reader
from wellhead.store.secrets import Cipher


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that an operator may set."""

    max_file_bytes: int = 200 * 1024 * 1024
    min_free_bytes: int = 500 * 1024 * 1024
    data_dir: Path | None = None
    """Where free disk is measured; None where the index is not on a local disk."""
    private_sources: bool = False
    """Whether sources of the open web may ask addresses that are not on it."""
    agentic_seconds: float = 120
    """How long a search that a language model leads may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The chosen implementations of one process."""

    db: AsyncEngine
    reads: Reader
    """The same database, for what only answers show."""
    engine: JobEngine
    index: Index
    embedder: Embedder
    sources: Registry
    cipher: Cipher
    clock: Clock
    limits: Limits = field(default_factory=Limits)
    live: LiveDesk = field(default_factory=LiveDesk)
    """Asks the sources that are searched live."""
    webhooks: WebhookPolicy = field(default_factory=WebhookPolicy)
    oauth: OAuthPolicy = field(default_factory=OAuthPolicy)
    language_model: LanguageModel | None = None
    reranker: Reranker | None = None
    actor: Actor = SYSTEM
    """Who acts: the program itself, unless somebody asked it to."""
    former: Former = nobody
    """Finds the embedders of tables that are yet to be made anew."""

    @property
    def embedders(self) -> Embedders:
        return Embedders(self.embedder, self.former)
