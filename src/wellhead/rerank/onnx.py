"""A cross-encoder on this machine: an ONNX model that the operator brings."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
from tokenizers import Tokenizer

from wellhead.domain.errors import UnavailableError
from wellhead.rerank.names import MODEL, TOKENIZER

MAX_TOKENS = 512
MAX_CHARACTERS = 20_000
BATCH = 16


class OnnxReranker:
    """Implements the Reranker port; one question at a time, on one thread.

    The folder holds `model.onnx`, which makes one logit of each pair, and the
    `tokenizer.json` that it was trained with. Both are loaded when first needed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._turn = asyncio.Lock()
        self._loaded: tuple[Any, Tokenizer] | None = None

    @property
    def name(self) -> str:
        return f"onnx:{self._folder.name}"

    async def rank(self, query: str, texts: Sequence[str]) -> list[tuple[int, float]]:
        async with self._turn:
            try:
                scores = await asyncio.to_thread(self._scores, query, texts)
            except Exception as error:  # whatever the operator's files hold
                raise UnavailableError(
                    f"{self.name} cannot be used ({type(error).__name__})"
                ) from error
        return sorted(enumerate(scores), key=lambda one: -one[1])

    async def close(self) -> None: ...

    def _scores(self, query: str, texts: Sequence[str]) -> list[float]:
        session, tokenizer = self._loaded = self._loaded or self._load()
        question = _readable(query)
        logits: list[float] = []
        for start in range(0, len(texts), BATCH):
            batch = texts[start : start + BATCH]
            pairs = [(question, _readable(text)) for text in batch]
            encoded = tokenizer.encode_batch(pairs)
            given = {
                "input_ids": [one.ids for one in encoded],
                "attention_mask": [one.attention_mask for one in encoded],
                "token_type_ids": [one.type_ids for one in encoded],
            }
            wanted = [one.name for one in session.get_inputs()]
            inputs = {name: np.array(given[name], dtype=np.int64) for name in wanted}
            found = session.run(None, inputs)[0].reshape(len(batch))
            logits += [float(one) for one in found]
        return [float(1 / (1 + np.exp(-one))) for one in logits]

    def _load(self) -> tuple[Any, Tokenizer]:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(
            str(self._folder / MODEL), options, providers=["CPUExecutionProvider"]
        )
        tokenizer = Tokenizer.from_file(str(self._folder / TOKENIZER))
        tokenizer.enable_truncation(MAX_TOKENS, strategy="longest_first")
        tokenizer.enable_padding()
        return session, tokenizer


def _readable(text: str) -> str:
    return text[:MAX_CHARACTERS].encode("utf-8", "replace").decode("utf-8")
