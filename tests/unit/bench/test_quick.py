import pytest

from bench import quick


@pytest.mark.parametrize(
    ("growth", "bad"), [(1.0, []), (1.0 + quick.MARGIN / 2, []), (2.0, ["noop"])]
)
def test_only_what_exceeds_the_margin_is_slower(growth: float, bad: list[str]) -> None:
    baseline = {"steps": {"full": 6.0, "noop": 1.0, "delta": 1.0}}

    found = {"full": 3.0, "noop": growth, "delta": 1.0}

    assert quick.slower(found, baseline) == bad
