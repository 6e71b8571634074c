"""A cross-encoder that the operator brings reads question and passage together."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from wellhead.domain.errors import UnavailableError
from wellhead.rerank.onnx import BATCH, OnnxReranker

WORDS = {"[PAD]": 0, "dull": 1, "fair": 2, "good": 3, "q": 4}
INT64, FLOAT = 7, 1


def _varint(number: int) -> bytes:
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])


def _part(number: int, value: bytes | str | int) -> bytes:
    """Encode one field of a protocol buffer."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _node(kind: str, inputs: list[str], output: str, *attributes: bytes) -> bytes:
    named = b"".join(_part(1, one) for one in inputs) + _part(2, output)
    return _part(1, named + _part(4, kind) + b"".join(_part(5, a) for a in attributes))


def _value(name: str, kind: int) -> bytes:
    dims = b"".join(_part(1, _part(2, one)) for one in ("n", f"m_{name}"))
    tensor = _part(1, kind) + _part(2, dims)
    return _part(1, name) + _part(2, _part(1, tensor))


def model(inputs: tuple[str, str] = ("input_ids", "token_type_ids")) -> bytes:
    """An ONNX model that adds up the words of the passage, and not of the question."""

    def parts() -> Iterator[bytes]:
        yield _node("Mul", list(inputs), "own")
        yield _node("Cast", ["own"], "real", _part(1, "to") + _number(FLOAT))
        axes = _part(1, "axes") + _part(8, 1) + _part(20, 7)
        yield _node("ReduceSum", ["real"], "logits", axes)
        yield _part(2, "sum")
        yield from (_part(11, _value(one, INT64)) for one in inputs)
        yield _part(12, _value("logits", FLOAT))

    return _part(1, 6) + _part(7, b"".join(parts())) + _part(8, _part(2, 11))


def _number(value: int) -> bytes:
    return _part(3, value) + _part(20, 2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tokenizer = Tokenizer(WordLevel(WORDS, unk_token="[PAD]"))  # noqa: S106
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        single="$A", pair="$A $B:1", special_tokens=[]
    )
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "model.onnx").write_bytes(model())
    return tmp_path


async def test_passages_are_put_in_the_models_order(folder: Path) -> None:
    reranker = OnnxReranker(folder)

    ranked = await reranker.rank("q good", ["dull", "good fair", "fair", "\ud800"])

    assert [place for place, _ in ranked] == [1, 2, 0, 3]
    assert [round(score, 3) for _, score in ranked] == [0.993, 0.881, 0.731, 0.5]


async def test_batches_do_not_change_scores(folder: Path) -> None:
    texts = ["dull", *["good good good"] * BATCH, "dull"]

    scores = dict(await OnnxReranker(folder).rank("q", texts))

    assert len(scores) == BATCH + 2
    assert scores[0] == scores[BATCH + 1]


@pytest.mark.parametrize(
    "content", [b"", b"no model", model(("input_ids", "what_is_this"))]
)
async def test_what_is_no_model_is_trouble(folder: Path, content: bytes) -> None:
    (folder / "model.onnx").write_bytes(content)

    with pytest.raises(UnavailableError, match="cannot be used"):
        await OnnxReranker(folder).rank("q", ["dull"])
