"""Embedders, as the settings choose them."""

import structlog
from pydantic import SecretStr

from wellhead.app.settings import Settings, variable
from wellhead.domain.errors import EmbedderError, StartError, SyncError
from wellhead.domain.ports import Embedder
from wellhead.embed.names import KEYLESS, RemoteModel, provider_and_model, remote_model

MINILM = "all-MiniLM-L6-v2"
"""What the ledger calls the embedder that settings call minilm."""

_log = structlog.get_logger(__name__)


def choose_embedder(settings: Settings, *, processes: int = 1) -> Embedder:
    """Return the configured embedder. Raises StartError, which says what to set."""
    provider, model = provider_and_model(settings.embedder)
    if provider == "null":
        return _null(settings.embedder_dimension)
    if provider == "minilm":
        return _minilm(processes)
    try:
        remote = remote_model(provider, model, settings.embedder_dimension)
    except ValueError as error:
        raise StartError(
            f"{error}: set {variable('embedder_dimension')}; a wrong number is "
            "refused, and the right one told"
        ) from error
    return _remote(
        settings, remote, url=settings.embedder_url, key=_key_of(settings, provider)
    )


async def refuse_useless_embedder(settings: Settings) -> None:
    """Ask a remote embedder once, before anything is started. Raises StartError.

    One that is away is waited for later: words are searched without it.
    """
    _, model = provider_and_model(settings.embedder)
    if not model:
        return
    embedder = choose_embedder(settings)
    try:
        await embedder.embed_query("is anybody there?")
    except EmbedderError as error:
        raise StartError(str(error)) from error
    except SyncError as error:
        _log.warning("embedder away", embedder=embedder.name, reason=str(error))
    finally:
        await embedder.close()


class FormerEmbedders:
    """Embedders that collections were made with, opened when they are asked for."""

    def __init__(self, settings: Settings, *, processes: int = 1) -> None:
        self._settings = settings
        self._processes = processes
        self._opened: dict[tuple[str, int], Embedder | None] = {}

    def find(self, name: str, dimension: int) -> Embedder | None:
        """Return the embedder of this name; None where it cannot be had."""
        key = (name, dimension)
        if key not in self._opened:
            try:
                self._opened[key] = self._open(name, dimension)
            except (StartError, ValueError) as error:
                _log.warning("former embedder cannot be had", reason=str(error))
                self._opened[key] = None
        return self._opened[key]

    async def close(self) -> None:
        for one in self._opened.values():
            if one is not None:
                await one.close()

    def _open(self, name: str, dimension: int) -> Embedder:
        if name == "null":
            return _null(dimension)
        if name == MINILM:
            return _minilm(self._processes)
        provider, model = provider_and_model(name)
        url, key = self._access(provider)
        if url is None and key is None and provider not in KEYLESS:
            raise StartError(f"{name} needs {variable('former_embedder_api_key')}")
        remote = remote_model(provider, model, dimension)
        return _remote(self._settings, remote, url=url, key=key)

    def _access(self, provider: str) -> tuple[str | None, SecretStr | None]:
        """Return what was said of the former one, or how the same provider is asked."""
        settings = self._settings
        url, key = settings.former_embedder_url, settings.former_embedder_api_key
        current, _ = provider_and_model(settings.embedder)
        if url is not None or key is not None or provider != current:
            return url, key
        return settings.embedder_url, _key_of(settings, provider)


def _minilm(processes: int) -> Embedder:
    from wellhead.embed.minilm import MiniLmEmbedder

    return MiniLmEmbedder(processes)


def _null(dimension: int | None) -> Embedder:
    from wellhead.embed.null import DIMENSION, NullEmbedder  # loads NumPy

    return NullEmbedder(dimension or DIMENSION)


def _key_of(settings: Settings, provider: str) -> SecretStr | None:
    """Return its own key, or that of OpenAI's models where OpenAI is asked."""
    is_at_openai = provider == "openai" and settings.embedder_url is None
    shared = settings.openai_api_key if is_at_openai else None
    key = settings.embedder_api_key or shared
    if key is None and settings.embedder_url is None and provider not in KEYLESS:
        raise StartError(
            f"{variable('embedder')}: {provider} needs {variable('embedder_api_key')}"
        )
    return key


def _remote(
    settings: Settings, model: RemoteModel, *, url: str | None, key: SecretStr | None
) -> Embedder:
    from wellhead.embed.remote import Access, RemoteEmbedder  # loads NumPy and httpx

    access = Access(
        url=url,
        key=None if key is None else key.get_secret_value(),
        texts=settings.embedder_texts,
        concurrency=settings.embedder_concurrency,
        requests_per_minute=settings.embedder_requests_per_minute,
        seconds=settings.embedder_seconds,
        passage_characters=settings.embedder_passage_characters,
    )
    return RemoteEmbedder(model, access)
