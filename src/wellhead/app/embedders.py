"""Embedders, as the settings choose them."""

import structlog
from pydantic import SecretStr

from wellhead.app.settings import Settings, variable
from wellhead.domain.errors import JobError, StartError, SyncError
from wellhead.domain.ports import Embedder
from wellhead.embed.names import KEYLESS, RemoteModel, provider_and_model, remote_model

_log = structlog.get_logger(__name__)


def choose_embedder(settings: Settings, *, processes: int = 1) -> Embedder:
    """Return the configured embedder. Raises StartError, which says what to set."""
    provider, model = provider_and_model(settings.embedder)
    if not model:
        return _local(provider, processes)
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
    except JobError as error:
        raise StartError(str(error)) from error
    except SyncError as error:
        _log.warning("embedder away", embedder=embedder.name, reason=str(error))
    finally:
        await embedder.close()


def _local(name: str, processes: int) -> Embedder:
    if name == "minilm":
        from wellhead.embed.minilm import MiniLmEmbedder

        return MiniLmEmbedder(processes)
    from wellhead.embed.null import NullEmbedder  # loads NumPy

    return NullEmbedder()


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
