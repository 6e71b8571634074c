"""Names of language models, as settings spell them."""

from dataclasses import dataclass

PROVIDERS = ("openai", "anthropic")


@dataclass(frozen=True, slots=True)
class ModelName:
    """Who serves a model, and what it is called there."""

    provider: str
    model: str

    def __str__(self) -> str:
        return f"{self.provider}:{self.model}"


def model_names(chain: str) -> tuple[ModelName, ...]:
    """Read `provider:model,…`, the first choice first; raises ValueError."""
    return tuple(_model_name(one.strip()) for one in chain.split(",") if one.strip())


def _model_name(name: str) -> ModelName:
    provider, colon, model = name.partition(":")
    if provider not in PROVIDERS or not colon or not model.strip():
        known = " or ".join(f"{one}:MODEL" for one in PROVIDERS)
        raise ValueError(f"'{name}' names no model: write {known}")
    return ModelName(provider, model.strip())
