"""Every setting of the program, read from WELLHEAD_* variables and nowhere else."""

import logging
import os
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from wellhead.domain.errors import StartError
from wellhead.embed import names as embedders
from wellhead.llm.names import model_names
from wellhead.rerank.names import provider_and_model

PREFIX = "WELLHEAD_"


class AuthMode(StrEnum):
    """Whether requests must carry an API key."""

    ON = "on"
    OFF = "off"


class Settings(BaseSettings):
    """How this installation runs. Field descriptions are shown by `wellhead doctor`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        extra="ignore",
        hide_input_in_errors=True,
    )

    data_dir: Path = Field(
        default_factory=lambda: Path.home() / ".local/share/wellhead",
        description="Where the embedded database, the index and the keys live.",
    )
    database_url: SecretStr | None = Field(
        default=None,
        description="A PostgreSQL (14 or newer) to use instead of the embedded one.",
    )
    embedder: str = Field(
        default="minilm",
        description="What makes vectors: 'minilm', 'null' (tests, benchmarks), or a "
        "provider's model: openai:MODEL, mistral:MODEL, ollama:MODEL, cohere:MODEL or "
        "voyage:MODEL.",
    )
    embedder_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^/\s]",
        description="The base URL of the embedder, if it is not asked at its provider "
        "(it often ends in /v1).",
    )
    embedder_api_key: SecretStr | None = Field(
        default=None, description="The embedder's key."
    )
    embedder_dimension: int | None = Field(
        default=None,
        ge=1,
        le=16_000,
        description="The length of the embedder's vectors; models that can make "
        "shorter ones are asked to.",
    )
    embedder_passage_characters: int = Field(
        default=1_200,
        ge=200,
        le=6_000,
        description="The longest passage that a remote embedder is given.",
    )
    embedder_texts: int = Field(
        default=64, ge=1, description="Texts in one request to a remote embedder."
    )
    embedder_concurrency: int = Field(
        default=4,
        ge=1,
        description="Requests that one process makes to a remote embedder at a time.",
    )
    embedder_requests_per_minute: int = Field(
        default=0,
        ge=0,
        description="Requests that one process makes to a remote embedder in a minute; "
        "0: any.",
    )
    embedder_seconds: float = Field(
        default=30, gt=0, description="How long one answer of a remote embedder takes."
    )
    former_embedder_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^/\s]",
        description="The base URL of the embedder that was used before, until all its "
        "vectors are made anew.",
    )
    former_embedder_api_key: SecretStr | None = Field(
        default=None, description="The key of the embedder that was used before."
    )
    llm: str = Field(
        default="",
        description="Language models for classic and agentic search, the first choice "
        "first: openai:MODEL or anthropic:MODEL, comma separated.",
    )
    llm_url: str | None = Field(
        default=None,
        description="The base URL of the openai: models, if OpenAI does not serve them "
        "(Ollama, vLLM and others; it often ends in /v1).",
    )
    openai_api_key: SecretStr | None = Field(
        default=None, description="The key for openai: models."
    )
    anthropic_api_key: SecretStr | None = Field(
        default=None, description="The key for anthropic: models."
    )
    llm_call_seconds: float = Field(
        default=30, gt=0, description="How long one reply of a language model may take."
    )
    llm_seconds: float = Field(
        default=120, gt=0, description="How long an agentic search may take in all."
    )
    federated_seconds: float = Field(
        default=5,
        gt=0,
        le=25,
        description="How long a search waits for a source that is searched live.",
    )
    reranker: str | None = Field(
        default=None,
        description="What puts results of classic and agentic search in order: "
        "cohere:MODEL, voyage:MODEL, jina:MODEL, or onnx:FOLDER.",
    )
    reranker_url: str | None = Field(
        default=None,
        description="Where the reranker is asked, if not at its provider.",
    )
    reranker_api_key: SecretStr | None = Field(
        default=None, description="The reranker's key."
    )
    host: str = Field(default="127.0.0.1", description="The address the API binds.")
    port: int = Field(
        default=8001, ge=0, le=65_535, description="The port of the API; 0 picks one."
    )
    auth: AuthMode = Field(
        default=AuthMode.ON,
        description="'off' lets every request in as the first organization.",
    )
    rate_limit: int = Field(
        default=0,
        ge=0,
        description="Requests that an organization may make in a minute; 0: any.",
    )
    secret_key: SecretStr | None = Field(
        default=None,
        description="Fernet keys for credentials, comma separated, newest first; "
        "without it they are kept in <data-dir>/secret_key.",
    )
    enable_demo_sources: bool = Field(
        default=False,
        description="List the demo sources (timed, stub, …), which need no account.",
    )
    workers: int = Field(
        default=1,
        ge=0,
        description="Worker processes that `serve` starts; 0 for the API alone.",
    )
    job_concurrency: int = Field(
        default=4, ge=1, description="Sync jobs that one worker runs at a time."
    )
    embed_processes: int = Field(
        default=0,
        ge=0,
        description="Embedder processes of a worker; 0 means one for each core.",
    )
    max_file_bytes: int = Field(
        default=200 * 1024 * 1024, description="Files larger than this are failures."
    )
    min_free_bytes: int = Field(
        default=500 * 1024 * 1024,
        description="No new batches are written below this much free disk.",
    )
    sources_allow_private: bool = Field(
        default=False,
        description="Web sites and feeds may be at addresses that are not on the "
        "internet.",
    )
    webhooks_allow_private: bool = Field(
        default=False,
        description="Webhooks may call addresses that are not on the internet.",
    )
    webhooks_verify_endpoints: bool = Field(
        default=True,
        description="A webhook's server must answer when it is subscribed.",
    )
    webhooks_keep_days: int = Field(
        default=30, ge=1, description="How long webhook messages are kept."
    )
    public_url: str | None = Field(
        default=None,
        description="Where browsers reach this server, for OAuth; without it where a "
        "request was sent to.",
    )
    oauth_clients: Path | None = Field(
        default=None,
        description="A TOML file with the OAuth clients of this installation; without "
        "it <data-dir>/oauth_clients.toml, if that is there.",
    )
    oauth_redirect_origins: str = Field(
        default="",
        description="Where browsers may be sent after consent, comma separated "
        "(https://app.example.com); without it wherever the caller says.",
    )
    log_level: str = Field(
        default="INFO",
        description="Least severe level logged: DEBUG, INFO, WARNING or ERROR.",
    )
    url: str | None = Field(
        default=None,
        description="The server that the commands talk to; without it the one that "
        "runs on the data directory.",
    )
    api_key: SecretStr | None = Field(
        default=None,
        description="The key that the commands send; without it the one in "
        "<data-dir>/api_key.",
    )

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        return path.expanduser().absolute()

    @field_validator("embedder")
    @classmethod
    def _known_embedder(cls, name: str) -> str:
        embedders.provider_and_model(name)
        return name

    @field_validator("llm")
    @classmethod
    def _known_models(cls, chain: str) -> str:
        model_names(chain)
        return chain

    @field_validator("reranker")
    @classmethod
    def _known_reranker(cls, name: str | None) -> str | None:
        if name is not None:
            provider_and_model(name)
        return name

    @field_validator("public_url", "oauth_redirect_origins")
    @classmethod
    def _web_addresses(cls, given: str | None) -> str | None:
        for one in (given or "").split(","):
            if given and not one.strip().startswith(("http://", "https://")):
                raise ValueError("write http:// or https:// and a host")
        return given

    @field_validator("log_level")
    @classmethod
    def _known_level(cls, level: str) -> str:
        if level.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
            raise ValueError("choose one of DEBUG, INFO, WARNING, ERROR")
        return level.upper()

    @property
    def redirect_origins(self) -> tuple[str, ...]:
        given = self.oauth_redirect_origins.split(",")
        return tuple(one.strip() for one in given if one.strip())

    @property
    def level(self) -> int:
        return logging.getLevelNamesMapping()[self.log_level]

    @property
    def secrets(self) -> list[str]:
        """What must not be shown anywhere."""
        found = (
            *(self.database_url, self.secret_key, self.api_key),
            *(self.embedder_api_key, self.former_embedder_api_key),
            *(self.openai_api_key, self.anthropic_api_key, self.reranker_api_key),
        )
        return [one.get_secret_value() for one in found if one is not None]


def load(**options: Any) -> Settings:
    """Read the environment; options that are not None win. Raises StartError."""
    given = {name: value for name, value in options.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        wrong = error.errors(include_input=False, include_url=False)
        lines = [f"{variable(str(one['loc'][0]))}: {one['msg']}" for one in wrong]
        raise StartError("; ".join(lines)) from None


def variable(field: str) -> str:
    """Return the name of a setting's variable."""
    return f"{PREFIX}{field.upper()}"


def environment(settings: Settings, *, alone: bool = False) -> dict[str, str]:
    """Return this process's environment with these settings, for a child.

    With `alone` settings that only the environment has are left out.
    """
    given = {
        variable(name): _plain(getattr(settings, name))
        for name in settings.model_fields_set
        if getattr(settings, name) is not None
    }
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not (alone and name.startswith(PREFIX))
    }
    own = {
        # the index tells of conflicts that it then solves by itself
        "LANCE_LOG": "error",
        # its many threads would each keep what they freed: large buffers go at once
        "MALLOC_ARENA_MAX": "2",
        "MALLOC_MMAP_THRESHOLD_": "131072",
        "MALLOC_TRIM_THRESHOLD_": "131072",
    }
    return {**own, **inherited, **given}


def _plain(value: Any) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
