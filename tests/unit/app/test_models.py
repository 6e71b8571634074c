"""Language models and rerankers are what the settings say, or the start is refused."""

from pathlib import Path
from typing import Any

import pytest
from tests.scripted_model import SECRET, says, scripted

from wellhead.app import models
from wellhead.app.models import choose_language_model, choose_reranker
from wellhead.app.settings import Settings, load, variable
from wellhead.domain.errors import StartError
from wellhead.domain.language import Prompt, Said

CHAIN = "openai:gpt-x, anthropic:claude-x"


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(variable(name), raising=False)


def test_without_settings_there_is_none() -> None:
    assert choose_language_model(load()) is None
    assert choose_reranker(load()) is None


async def test_the_chain_is_as_it_is_written() -> None:
    settings = load(llm=CHAIN, openai_api_key="a", anthropic_api_key="b")
    model = choose_language_model(settings)

    assert model is not None
    assert model.name == "openai:gpt-x,anthropic:claude-x"
    await model.close()


async def test_a_server_of_ones_own_is_asked() -> None:
    async with scripted(says("Yes.")) as server:
        settings = load(llm="openai:my-model", llm_url=server.url)
        model = choose_language_model(settings)
        assert model is not None
        prompt = Prompt(instructions="", turns=(Said("There?"),), tools=())
        reply = await model.reply(prompt)
        await model.close()

    assert reply.text == "Yes."
    assert server.asked[0]["model"] == "my-model"


@pytest.mark.parametrize("chain", ["gpt-x", "openai:", "gopher:x", "openai:a,b"])
def test_what_names_no_model_is_refused(chain: str) -> None:
    with pytest.raises(StartError, match=r"WELLHEAD_LLM: .*openai:MODEL"):
        load(llm=chain)


@pytest.mark.parametrize("name", ["rerank-x", "cohere:", "gopher:x"])
def test_what_names_no_reranker_is_refused(name: str) -> None:
    with pytest.raises(StartError, match=r"WELLHEAD_RERANKER: .*cohere:MODEL"):
        load(reranker=name)


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"llm": "openai:gpt-x"}, "WELLHEAD_OPENAI_API_KEY"),
        ({"llm": CHAIN, "openai_api_key": "a"}, "WELLHEAD_ANTHROPIC_API_KEY"),
        (
            {"llm": "anthropic:x", "llm_url": "http://127.0.0.1/v1"},
            "WELLHEAD_ANTHROPIC_API_KEY",
        ),
    ],
)
def test_a_missing_key_is_named(given: Any, missing: str) -> None:
    with pytest.raises(StartError, match=f"needs {missing}"):
        choose_language_model(load(**given))


def test_a_reranker_needs_a_key() -> None:
    with pytest.raises(StartError, match="needs WELLHEAD_RERANKER_API_KEY"):
        choose_reranker(load(reranker="voyage:rerank-x"))


async def test_a_reranker_is_chosen() -> None:
    reranker = choose_reranker(load(reranker="jina:x", reranker_api_key="k"))

    assert reranker is not None
    assert reranker.name == "jina:x"
    await reranker.close()


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")

    with pytest.raises(StartError, match=r"WELLHEAD_RERANKER: there is no model\.onnx"):
        choose_reranker(load(reranker=f"onnx:{tmp_path}"))


def test_a_folder_with_a_model_is_taken(tmp_path: Path) -> None:
    for name in ("model.onnx", "tokenizer.json"):
        (tmp_path / name).write_text("{}")
    reranker = choose_reranker(load(reranker=f"onnx:{tmp_path}"))

    assert reranker is not None
    assert reranker.name == f"onnx:{tmp_path.name}"


def test_without_the_extra_it_is_said_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(models, "CLIENTS", ("pydantic_ai", "not_there"))

    with pytest.raises(StartError) as raised:
        choose_language_model(load(llm=CHAIN, openai_api_key="a"))

    assert "no not_there" in str(raised.value)
    assert "pip install 'wellhead[llm]'" in str(raised.value)


def test_keys_are_secrets() -> None:
    fields = ("openai_api_key", "anthropic_api_key", "reranker_api_key")
    settings = load(**dict.fromkeys(fields, SECRET))

    assert settings.secrets.count(SECRET) == 3
    assert SECRET not in repr(settings)
