"""The model itself, as it runs inside one process with one thread."""

import os
import signal
import threading
from collections.abc import Sequence
from functools import cache
from multiprocessing import parent_process
from typing import Any

MAX_TOKENS = 256
# Longer texts cannot matter: 256 tokens end far before. Spares tokenising megabytes.
MAX_CHARACTERS = 20_000


def start() -> None:
    """Prepare a child process: load the model, die with the parent."""
    # Ctrl-C goes to the whole terminal; the parent decides when children end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, daemon=True).start()
    _model()


def embed_texts(texts: Sequence[str]) -> bytes:
    """Return the float32 unit vectors of the texts, one after the other.

    Texts run through the model one by one: quantisation scales over a whole batch, so
    neighbours would change each other's vectors (cosine .98), and no speed is lost.
    """
    session, tokenizer = _model()
    return b"".join(_embed(session, tokenizer, text) for text in texts)


def _embed(session: Any, tokenizer: Any, text: str) -> bytes:
    # Who only starts the processes does without.
    import numpy as np  # noqa: PLC0415  # as above

    readable = text[:MAX_CHARACTERS].encode("utf-8", "replace").decode()
    ids = np.array([tokenizer.encode(readable).ids], dtype=np.int64)
    inputs = {
        "input_ids": ids,
        "attention_mask": np.ones_like(ids),
        "token_type_ids": np.zeros_like(ids),
    }
    (hidden,) = session.run(["last_hidden_state"], inputs)
    vector = hidden[0].mean(axis=0)
    vector /= np.sqrt(vector @ vector)
    return bytes(vector.astype(np.float32, copy=False).tobytes())


@cache
def _model() -> tuple[Any, Any]:
    # Heavy, and needed only where the model runs.
    import onnxruntime  # type: ignore[import-untyped]  # noqa: PLC0415  # as above
    from tokenizers import Tokenizer  # noqa: PLC0415  # as above
    from wellhead_minilm import MODEL, TOKENIZER  # noqa: PLC0415  # optional package

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        MODEL, options, providers=["CPUExecutionProvider"]
    )
    tokenizer = Tokenizer.from_file(str(TOKENIZER))
    # The file says 128 tokens, always padded.
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.no_padding()
    return session, tokenizer


def _follow_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
