"""LlamaIndex: an ingestion pipeline into LanceDB, upserting and deleting by document.

Its reader of folders is left out: a loop that reads the files costs less. So is its
cache of transformations, which keeps all chunks twice.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import lancedb
import numpy as np
from llama_index.core.embeddings import (  # type: ignore[import-not-found]
    BaseEmbedding,
)
from llama_index.core.ingestion import (  # type: ignore[import-not-found]
    DocstoreStrategy,
    IngestionPipeline,
)
from llama_index.core.schema import (  # type: ignore[import-not-found]
    Document,
    NodeRelationship,
    RelatedNodeInfo,
    TextNode,
    TransformComponent,
)
from llama_index.core.storage.docstore import (  # type: ignore[import-not-found]
    SimpleDocumentStore,
)
from llama_index.core.vector_stores import (  # type: ignore[import-not-found]
    VectorStoreQuery,
)
from llama_index.vector_stores.lancedb import (  # type: ignore[import-not-found]
    LanceDBVectorStore,
)

from bench import task
from wellhead.embed.null import NullEmbedder

NULL = NullEmbedder()


class Cut(TransformComponent):  # type: ignore[misc]
    def __call__(self, nodes: Sequence[Any], **_: Any) -> list[Any]:
        return [
            TextNode(
                text=text,
                relationships={
                    NodeRelationship.SOURCE: RelatedNodeInfo(node_id=document.id_)
                },
            )
            for document in nodes
            for text in task.cut(document.text)
        ]


class Null(BaseEmbedding):  # type: ignore[misc]
    embed_batch_size: int = 2048

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return _vectors(texts)

    def _get_text_embedding(self, text: str) -> list[float]:
        return _vectors([text])[0]

    def _get_query_embedding(self, query: str) -> list[float]:
        return _vectors([query])[0]

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return _vectors([query])[0]


class LlamaIndex(task.Contender):
    def __init__(self, corpus: Path, home: Path) -> None:
        self._corpus, self._home, self._memory = corpus, home, home / "documents.json"
        self._store = _open(home)

    async def sync(self) -> None:
        known = SimpleDocumentStore()
        if self._memory.exists():
            known = SimpleDocumentStore.from_persist_path(str(self._memory))
        pipeline = IngestionPipeline(
            transformations=[Cut(), Null()],
            docstore=known,
            vector_store=self._store,
            docstore_strategy=DocstoreStrategy.UPSERTS_AND_DELETE,
            disable_cache=True,
        )
        files = task.files(self._corpus)
        pipeline.run(documents=[Document(id_=name, text=text) for name, text in files])
        known.persist(str(self._memory))

    async def contents(self) -> task.Pairs:
        table = await (await lancedb.connect_async(self._home)).open_table("vectors")
        rows = await table.query().select(["doc_id", "text"]).to_arrow()
        columns = rows["doc_id"].to_pylist(), rows["text"].to_pylist()
        return zip(*columns, strict=True)

    async def search(self, text: str) -> list[str]:
        query = VectorStoreQuery(
            query_embedding=_vectors([text])[0], similarity_top_k=task.TOP
        )
        return [node.get_content() for node in self._store.query(query).nodes]


@asynccontextmanager
async def opened(corpus: Path, work: Path) -> AsyncIterator[LlamaIndex]:
    home = work / "llamaindex"
    home.mkdir(exist_ok=True)
    yield LlamaIndex(corpus, home)


def _open(home: Path) -> Any:
    is_there = (home / "vectors.lance").exists()
    return LanceDBVectorStore(
        uri=str(home), mode="append" if is_there else "overwrite", table_name="vectors"
    )


def _vectors(texts: Sequence[str]) -> list[list[float]]:
    """Embed; the null embedder never waits, so it ends at its first step."""
    try:
        NULL.embed(texts).send(None)
    except StopIteration as end:
        found: list[list[float]] = np.asarray(end.value).tolist()
        return found
    raise RuntimeError("the null embedder waited")


if __name__ == "__main__":
    task.main(opened)
