"""The operator's OAuth clients: read from a file, refused with a reason, no secrets."""

from pathlib import Path

import pytest

from wellhead.app.oauth_clients import read_oauth
from wellhead.app.settings import load
from wellhead.domain.errors import StartError
from wellhead.domain.oauth import OAuthClient


def test_clients_are_read_from_the_data_directory(tmp_path: Path) -> None:
    nothing = read_oauth(load(data_dir=tmp_path))
    file = tmp_path / "oauth_clients.toml"
    file.write_text(
        '[google]\nclient_id = "a"\nclient_secret = "b"\n'
        '[asana]\nclient_id = "c"\nclient_secret = "d"\nscopes = ["tasks:read"]\n'
    )
    origins = "https://a.example.com, http://localhost:3000"
    policy = read_oauth(load(data_dir=tmp_path, oauth_redirect_origins=origins))

    assert nothing.clients == {}
    assert nothing.clients_file == str(file)
    assert policy.clients == {
        "google": OAuthClient("a", "b"),
        "asana": OAuthClient("c", "d", ("tasks:read",)),
    }
    assert policy.redirect_origins == ("https://a.example.com", "http://localhost:3000")
    assert "'b'" not in repr(policy)


@pytest.mark.parametrize(
    "text",
    [
        "[google",
        'google = "s3cret"',
        '[google]\nclient_id = "a"',
        '[google]\nclient_id = "a"\nclient_secret = ""',
        '[google]\nclient_id = "a"\nclient_secret = 7',
        '[google]\nclient_id = "a"\nclient_secret = "s3cret"\nscopes = "read"',
        '[google]\nclient_id = "a"\nclient_secret = "s3cret"\nsurplus = 1',
    ],
)
def test_what_is_no_client_is_named_without_its_secret(
    tmp_path: Path, text: str
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)

    with pytest.raises(StartError, match=r"mine\.toml") as error:
        read_oauth(load(data_dir=tmp_path, oauth_clients=file))
    assert "s3cret" not in str(error.value)


def test_a_file_that_was_named_has_to_be_there(tmp_path: Path) -> None:
    absent = tmp_path / "absent.toml"

    with pytest.raises(StartError, match="cannot be read"):
        read_oauth(load(data_dir=tmp_path, oauth_clients=absent))


@pytest.mark.parametrize("name", ["public_url", "oauth_redirect_origins"])
def test_addresses_are_web_addresses(name: str) -> None:
    with pytest.raises(StartError, match="http://"):
        load(**{name: "app.example.com"})
