"""Language models and rerankers, as the settings choose them."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from pydantic import SecretStr

from wellhead.app.settings import Settings, variable
from wellhead.domain.errors import StartError
from wellhead.domain.ports import LanguageModel, Reranker
from wellhead.llm.chain import Chain, Link
from wellhead.llm.names import ModelName, model_names
from wellhead.rerank.names import FILES, LOCAL, provider_and_model

CLIENTS = ("pydantic_ai", "openai", "anthropic")
"""What the extra `llm` installs."""


def choose_language_model(settings: Settings) -> LanguageModel | None:
    """Return the configured models as one; None without any. Raises StartError.

    Their clients are loaded when they are first asked: it takes seconds and 110 MB.
    """
    names = model_names(settings.llm)
    if not names:
        return None
    missing = [one for one in CLIENTS if find_spec(one) is None]
    if missing:
        raise StartError(
            f"{variable('llm')} needs the extra `llm`, which is not installed "
            f"(no {', '.join(missing)}): pip install 'wellhead[llm]'"
        )
    return Chain([Link(str(one), _opener(settings, one)) for one in names])


def choose_reranker(settings: Settings) -> Reranker | None:
    """Return the configured reranker; None without one. Raises StartError."""
    if settings.reranker is None:
        return None
    provider, model = provider_and_model(settings.reranker)
    if provider == LOCAL:
        return _local(Path(model).expanduser())
    if settings.reranker_api_key is None and settings.reranker_url is None:
        raise StartError(f"{variable('reranker')} needs {variable('reranker_api_key')}")
    from wellhead.rerank.remote import RemoteReranker

    return RemoteReranker(
        provider,
        model,
        key=_plain(settings.reranker_api_key),
        url=settings.reranker_url,
    )


def _local(folder: Path) -> Reranker:
    missing = [one for one in FILES if not (folder / one).is_file()]
    if missing:
        named = " and no ".join(missing)
        raise StartError(f"{variable('reranker')}: there is no {named} in {folder}")
    from wellhead.rerank.onnx import OnnxReranker

    return OnnxReranker(folder)


def _opener(
    settings: Settings, name: ModelName
) -> Callable[[], Awaitable[LanguageModel]]:
    is_openai = name.provider == "openai"
    url = settings.llm_url if is_openai else None
    field = f"{name.provider}_api_key"
    key = _plain(getattr(settings, field))
    if key is None and url is None:
        raise StartError(f"{variable('llm')}: {name} needs {variable(field)}")
    return partial(
        _open, name, key=key, url=url, call_seconds=settings.llm_call_seconds
    )


async def _open(
    name: ModelName, *, key: str | None, url: str | None, call_seconds: float
) -> LanguageModel:
    # in a thread: whatever else goes on in this process does not stand still
    await asyncio.to_thread(import_module, "wellhead.llm.model")
    from wellhead.llm.model import HttpModel

    return HttpModel.open(name, key=key, url=url, call_seconds=call_seconds)


def _plain(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
