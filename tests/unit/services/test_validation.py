"""Fields of configs and credentials that are wrong."""

import pytest

from wellhead.services.validation import (
    InvalidFieldsError,
    valid_config,
    valid_credentials,
)
from wellhead.sources.base import Config


class Login(Config):
    user: str
    pin: int


def test_a_good_model_comes_back() -> None:
    assert valid_config(Login, {"user": " me ", "pin": 1}) == Login(user="me", pin=1)


def test_every_wrong_field_is_named_without_its_value() -> None:
    with pytest.raises(InvalidFieldsError) as raised:
        valid_credentials(Login, {"pin": "s3cr3t", "extra": "s3cr3t"})

    assert raised.value.message.startswith("Invalid auth fields: user: Field required;")
    assert "s3cr3t" not in raised.value.message
    assert [where for where, _ in raised.value.problems] == [
        "body.authentication.credentials.user",
        "body.authentication.credentials.pin",
        "body.authentication.credentials.extra",
    ]
