"""Names of embedders, as settings and the ledger spell them."""

from dataclasses import dataclass

LOCAL = ("minilm", "null")
PROVIDERS = ("openai", "mistral", "ollama", "cohere", "voyage")
KEYLESS = ("ollama",)
"""Asked without a key also where they are at home."""


@dataclass(frozen=True, slots=True)
class Known:
    """How long a model's vectors are, and whether it makes shorter ones if asked."""

    dimension: int
    is_shortened: bool = False


MODELS: dict[tuple[str, str], Known] = {
    ("openai", "text-embedding-3-small"): Known(1536, is_shortened=True),
    ("openai", "text-embedding-3-large"): Known(3072, is_shortened=True),
    ("openai", "text-embedding-ada-002"): Known(1536),
    ("mistral", "mistral-embed"): Known(1024),
    ("mistral", "codestral-embed"): Known(1536, is_shortened=True),
    ("ollama", "nomic-embed-text"): Known(768),
    ("ollama", "mxbai-embed-large"): Known(1024),
    ("ollama", "all-minilm"): Known(384),
    ("ollama", "bge-m3"): Known(1024),
    ("cohere", "embed-v4.0"): Known(1536, is_shortened=True),
    ("cohere", "embed-english-v3.0"): Known(1024),
    ("cohere", "embed-multilingual-v3.0"): Known(1024),
    ("cohere", "embed-english-light-v3.0"): Known(384),
    ("cohere", "embed-multilingual-light-v3.0"): Known(384),
    ("voyage", "voyage-3-large"): Known(1024, is_shortened=True),
    ("voyage", "voyage-3.5"): Known(1024, is_shortened=True),
    ("voyage", "voyage-3.5-lite"): Known(1024, is_shortened=True),
    ("voyage", "voyage-code-3"): Known(1024, is_shortened=True),
}


@dataclass(frozen=True, slots=True)
class RemoteModel:
    """A model behind HTTP; `is_asked_for` if the request has to say the dimension."""

    provider: str
    model: str
    dimension: int
    is_asked_for: bool = False

    def __str__(self) -> str:
        return f"{self.provider}:{self.model}"


def provider_and_model(name: str) -> tuple[str, str]:
    """Read `provider:model`, or a local name with no model; raises ValueError."""
    if name.strip() in LOCAL:
        return name.strip(), ""
    provider, colon, model = name.strip().partition(":")
    if provider not in PROVIDERS or not colon or not model.strip():
        known = ", ".join([*LOCAL, *(f"{one}:MODEL" for one in PROVIDERS)])
        raise ValueError(f"there is no '{name}', choose one of {known}")
    return provider, model.strip()


def remote_model(provider: str, model: str, dimension: int | None) -> RemoteModel:
    """Find out how long the vectors are; raises ValueError where nobody said.

    A model that is known, and does not make shorter vectors, keeps its own dimension
    whatever is wished: the server is believed, and a difference is told.
    """
    known = MODELS.get((provider, model.removesuffix(":latest")))
    if known is None:
        if dimension is None:
            raise ValueError(f"nobody knows how long the vectors of {model} are")
        return RemoteModel(provider, model, dimension)
    if dimension is None or dimension == known.dimension:
        return RemoteModel(provider, model, known.dimension)
    return RemoteModel(provider, model, dimension, is_asked_for=known.is_shortened)
