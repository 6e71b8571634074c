"""The embedder is what the settings say, or the start is refused with what to set."""

from typing import Any

import pytest
from tests.scripted_embedder import DIMENSION, KEY, embedding, refuses

from wellhead.app.checkup import check_all
from wellhead.app.embedders import choose_embedder, refuse_useless_embedder
from wellhead.app.settings import Settings, load, variable
from wellhead.domain.errors import StartError

OWN = "openai:my-model"


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(variable(name), raising=False)


@pytest.mark.parametrize(
    ("given", "name", "dimension"),
    [
        ({"embedder": "null"}, "null", 384),
        (
            {"embedder": "openai:text-embedding-3-small", "openai_api_key": "k"},
            "openai:text-embedding-3-small",
            1536,
        ),
        (
            {
                "embedder": "cohere:embed-v4.0",
                "embedder_api_key": "k",
                "embedder_dimension": 512,
            },
            "cohere:embed-v4.0",
            512,
        ),
        ({"embedder": "ollama:bge-m3:latest"}, "ollama:bge-m3:latest", 1024),
        (
            {
                "embedder": "openai:BAAI/bge-small-en-v1.5",
                "embedder_url": "http://127.0.0.1:8080/v1",
                "embedder_dimension": 384,
            },
            "openai:BAAI/bge-small-en-v1.5",
            384,
        ),
    ],
)
async def test_it_is_the_one_that_is_named(
    given: dict[str, Any], name: str, dimension: int
) -> None:
    embedder = choose_embedder(load(**given))

    assert (embedder.name, embedder.dimension) == (name, dimension)
    await embedder.close()


@pytest.mark.parametrize("name", ["gpt", "openai:", "gopher:x", "minilm:x"])
def test_what_names_no_embedder_is_refused(name: str) -> None:
    with pytest.raises(StartError, match=r"WELLHEAD_EMBEDDER: .*minilm.*openai:MODEL"):
        load(embedder=name)


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(StartError, match="WELLHEAD_EMBEDDER_URL"):
        load(embedder=OWN, embedder_url="localhost:8080")


def test_a_provider_needs_a_key() -> None:
    settings = load(embedder="voyage:voyage-3.5", openai_api_key="of another")

    with pytest.raises(StartError, match="voyage needs WELLHEAD_EMBEDDER_API_KEY"):
        choose_embedder(settings)


def test_the_key_for_openai_is_not_sent_elsewhere() -> None:
    settings = load(
        embedder=OWN,
        embedder_url="http://127.0.0.1:1/v1",
        embedder_dimension=3,
        openai_api_key="sk-of-openai",
    )

    assert "authorization" not in choose_embedder(settings)._http.headers  # type: ignore[attr-defined]  # of a remote one


def test_an_unknown_model_needs_its_dimension() -> None:
    settings = load(embedder=OWN, embedder_api_key="k")

    with pytest.raises(StartError, match="WELLHEAD_EMBEDDER_DIMENSION"):
        choose_embedder(settings)


def own(url: str, dimension: int = DIMENSION) -> Settings:
    return load(
        embedder=OWN,
        embedder_url=url,
        embedder_api_key=KEY,
        embedder_dimension=dimension,
    )


async def test_a_start_with_another_dimension_is_refused() -> None:
    async with embedding() as server:
        await refuse_useless_embedder(own(server.url))
        with pytest.raises(StartError, match="EMBEDDER_DIMENSION to 48"):
            await refuse_useless_embedder(own(server.url, 99))


async def test_a_start_with_a_wrong_key_is_refused() -> None:
    async with embedding(refuses(401)) as server:
        with pytest.raises(StartError, match="WELLHEAD_EMBEDDER_API_KEY"):
            await refuse_useless_embedder(own(server.url))


async def test_an_embedder_that_is_away_refuses_no_start() -> None:
    await refuse_useless_embedder(own("http://127.0.0.1:1/v1"))
    await refuse_useless_embedder(load(embedder="minilm"))


def test_the_key_is_a_secret() -> None:
    settings = own("http://127.0.0.1:1/v1")

    assert KEY in settings.secrets
    assert KEY not in repr(settings)


def test_doctor_says_which_embedder_does_not_answer(tmp_path: Any) -> None:
    settings = own("http://127.0.0.1:1/v1").model_copy(update={"data_dir": tmp_path})

    [found] = [one for one in check_all(settings) if one["check"] == "embedder"]

    assert not found["ok"]
    assert found["found"] == "openai:my-model could not be asked (ConnectError)"
