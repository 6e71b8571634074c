from pathlib import Path
from typing import Any

import pytest

from bench import quality_page


def _set(keyword: float, semantic: float, hybrid: float) -> dict[str, Any]:
    scores = {
        "keyword": {"ndcg": keyword, "recall": 0.3},
        "semantic": {"ndcg": semantic, "recall": 0.3},
        "hybrid": {"ndcg": hybrid, "recall": 0.4},
    }
    return {
        "name": "A set",
        "questions": 113,
        "reporting": scores,
        "tuning": scores,
        "p": {"keyword": 0.001, "semantic": 0.04},
        "fusions": [
            {"weight": 1.0, "constant": constant, "ndcg": 0.4} for constant in (20, 60)
        ],
    }


def _told(**changes: Any) -> dict[str, Any]:
    near = {"chunks": 25_000, "questions": 725, "recall": 0.99, "seconds": 0.004}
    return {
        "about": {
            "date": "2000-01-01",
            "cores": 2,
            "processor": "a processor",
            "python": "3.11.7",
        },
        "sets": {"cranfield": _set(0.37, 0.39, 0.42), "library": _set(0.3, 0.4, 0.39)},
        "neighbours": near,
        "seconds": 500,
    } | changes


def test_all_targets_are_met_where_they_are() -> None:
    assert [one.is_met for one in quality_page.verdicts(_told())] == [True] * 4


@pytest.mark.parametrize(
    ("changes", "missed"),
    [
        ({"cranfield": _set(0.37, 0.39, 0.40), "library": _set(0.3, 0.4, 0.39)}, 0),
        ({"cranfield": _set(0.37, 0.43, 0.42), "library": _set(0.3, 0.4, 0.39)}, 1),
        ({"cranfield": _set(0.37, 0.39, 0.42), "library": _set(0.3, 0.4, 0.37)}, 2),
    ],
)
def test_a_target_that_is_missed_is_told(changes: dict[str, Any], missed: int) -> None:
    found = quality_page.verdicts(_told(sets=changes))

    assert [at for at, one in enumerate(found) if not one.is_met] == [missed]


def test_chance_and_neighbours_can_miss_too() -> None:
    told = _told(neighbours={**_told()["neighbours"], "recall": None})
    told["sets"]["cranfield"]["p"]["semantic"] = 0.06
    found = quality_page.verdicts(told)

    assert [at for at, one in enumerate(found) if not one.is_met] == [1, 3]


def test_the_page_says_what_was_found_where_and_when(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    quality_page.write_page(_told(), page)
    text = page.read_text()

    assert "Measured 2000-01-01 on 2 cores (a processor)" in text
    assert "| A set, 113 of its questions | hybrid | 0.4200 | 0.4000 |" in text
    assert "| 25,000 | 725 | 0.9900 | 4.0 |" in text
