"""Public ids made from names."""

import re

import pytest

from wellhead.services.collections import readable_id_of


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("My First_Collection (v2)", "my-firstcollection-v2-"),
        ("Größe  und\tmehr", "gre-und-mehr-"),
        ("日本語", ""),
        ("already-dashed", "alreadydashed-"),
    ],
)
def test_only_plain_letters_and_digits_stay(name: str, stem: str) -> None:
    made = readable_id_of(name)

    assert re.fullmatch(rf"{stem}[a-z0-9]{{6}}", made)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", made)


def test_the_same_name_gives_different_ids() -> None:
    assert readable_id_of("Same") != readable_id_of("Same")
