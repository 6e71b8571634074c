"""What providers of embeddings call the parts of the talk."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from wellhead.embed.names import RemoteModel


class Use(StrEnum):
    """What a text is embedded for; some models embed questions differently."""

    DOCUMENT = "document"
    QUERY = "query"


@dataclass(frozen=True, slots=True)
class Dialect:
    """Where a provider listens, how it is asked, and where its answer has the rows."""

    base: str
    path: str
    texts: str
    dimension: str
    """The field that asks for shorter vectors."""
    uses: Callable[[Use], dict[str, Any]]
    rows: Callable[[Any], list[Any]]
    most_texts: int
    """So many at most in one request."""

    def body(self, model: RemoteModel, texts: Sequence[str], use: Use) -> Any:
        asked = {"model": model.model, self.texts: list(texts), **self.uses(use)}
        if model.is_asked_for:
            asked[self.dimension] = model.dimension
        return asked


def _numbered(answer: Any) -> list[Any]:
    """Put rows that say their place in order; each place must be there once."""
    found = {int(one["index"]): one["embedding"] for one in answer["data"]}
    return [found[place] for place in range(len(answer["data"]))]


def _cohere_rows(answer: Any) -> list[Any]:
    rows: list[Any] = answer["embeddings"]["float"]
    return rows


def _cohere_use(use: Use) -> dict[str, Any]:
    # what a model cannot read whole is cut, as the local model does it
    return {
        "input_type": f"search_{use}",
        "embedding_types": ["float"],
        "truncate": "END",
    }


def _openai(base: str, dimension: str) -> Dialect:
    return Dialect(
        base=base,
        path="/embeddings",
        texts="input",
        dimension=dimension,
        uses=lambda _: {"encoding_format": "float"},
        rows=_numbered,
        most_texts=2048,
    )


DIALECTS = {
    "openai": _openai("https://api.openai.com/v1", "dimensions"),
    "mistral": _openai("https://api.mistral.ai/v1", "output_dimension"),
    "ollama": _openai("http://127.0.0.1:11434/v1", "dimensions"),
    "cohere": Dialect(
        base="https://api.cohere.com/v2",
        path="/embed",
        texts="texts",
        dimension="output_dimension",
        uses=_cohere_use,
        rows=_cohere_rows,
        most_texts=96,
    ),
    "voyage": Dialect(
        base="https://api.voyageai.com/v1",
        path="/embeddings",
        texts="input",
        dimension="output_dimension",
        uses=lambda use: {"input_type": use.value},
        rows=_numbered,
        most_texts=1000,
    ),
}
