"""Settings: read from the environment, documented, and shown without secrets."""

from pathlib import Path

import pytest

from wellhead.app.checkup import list_settings
from wellhead.app.settings import Settings, environment, load, variable
from wellhead.domain.errors import StartError

DOCUMENT = Path(__file__).parents[3] / "docs/settings.md"


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(variable(name), raising=False)


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_is_documented_and_in_the_doctors_list(name: str) -> None:
    rows = [line for line in DOCUMENT.read_text("utf-8").splitlines() if "|" in line]
    described = [row for row in rows if row.startswith(f"| `{variable(name)}` |")]
    listed = {one["name"]: one for one in list_settings(load())}

    assert len(described) == 1
    assert listed[variable(name)]["description"]


def test_the_document_names_no_setting_that_is_not_there() -> None:
    known = {variable(name) for name in Settings.model_fields}
    text = DOCUMENT.read_text("utf-8")
    named = {line.split("`")[1] for line in text.splitlines() if "| `WELL" in line}

    assert named == known


def test_an_option_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WELLHEAD_PORT", "9000")

    assert load().port == 9000
    assert load(port=9001).port == 9001
    assert load(port=None).port == 9000


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WELLHEAD_PORT", "")

    assert load().port == 8001


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WELLHEAD_PORT", "ninety"),
        ("WELLHEAD_LOG_LEVEL", "loud"),
        ("WELLHEAD_EMBEDDER", "mystery"),
    ],
)
def test_a_wrong_value_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(StartError, match=name):
        load()


def test_a_child_gets_the_same_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    given = load(
        data_dir="/somewhere",
        port=0,
        auth="off",
        database_url="postgresql://u:p@h/d",
        enable_demo_sources=True,
    )
    inherited = environment(given)
    for name in Settings.model_fields:
        if variable(name) in inherited:
            monkeypatch.setenv(variable(name), inherited[variable(name)])

    assert load() == given


def test_secrets_are_masked_and_origins_told() -> None:
    listed = list_settings(
        load(api_key="hush", database_url="postgresql://u:hush@h/d", port=1), ["port"]
    )

    assert "hush" not in str(listed)
    origins = {one["name"]: one["from"] for one in listed}
    assert origins["WELLHEAD_PORT"] == "option"
    assert origins["WELLHEAD_HOST"] == "default"
