"""Tells how good searches are: tables for the terminal and docs/search-quality.md.

`python -m bench.quality_page` writes the page again from the last result.
"""

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.contest import ROOT
from bench.targets import Verdict
from wellhead.domain.search import Strategy
from wellhead.search.fuse import RANK_CONSTANT
from wellhead.search.instant import KEYWORD_WEIGHT, SEMANTIC_WEIGHT

RESULT = Path(__file__).with_name("result-quality.json")
PAGE = ROOT / "docs/search-quality.md"
NDCG, SHARE, NEIGHBOURS, CHANCE = 0.41, 0.95, 0.95, 0.05
LEGS = (Strategy.KEYWORD, Strategy.SEMANTIC)
Rows = list[list[str]]

INTRODUCTION = """\
# How good searches are

Written by `make bench-quality` from its own results: do not edit. `EVAL_DIR` names the
folder of the Cranfield collection.
"""

METHOD = """\
## How it is measured

- **The product as it is**: files in a folder, synced by a job of a worker process with
  the MiniLM embedder, asked for over HTTP from the API process.
- **Halves**: every second question is there to tune on, the others to report on. The
  tables are of the latter; fusions are compared on the former.
- **Cranfield**: 1,400 abstracts in files named by their titles, 225 questions, judged
  by people. Documents are judged, so searches group by entity. Gains are the grades.
- **Python's library**: modules without any docstring; the questions are the first
  paragraphs of the docstrings of 500 functions. A passage answers if it holds a part of
  the function in question.
- **p**: how often chance alone makes as great a difference between hybrid and the leg,
  by a paired randomisation test, two-sided.
- **Vector index**: the sentences of the abstracts and the lines of the library's
  docstrings, embedded, indexed as the maintainer does it, and asked for with all
  questions; beside it a scan of all vectors.
"""


def show(told: dict[str, Any]) -> None:
    """Print the one table and the targets."""
    console = Console(width=110)
    for title, rows in _tables(told):
        table = Table(title=title)
        for at, name in enumerate(rows[0]):
            table.add_column(name, justify="right" if at > 1 else "left")
        for row in rows[1:]:
            table.add_row(*row)
        console.print(table)
    console.print(f"{told['seconds']} seconds in all")


def write_page(told: dict[str, Any], page: Path = PAGE) -> None:
    about = told["about"]
    machine = (
        f"Measured {about['date']} on {about['cores']} cores ({about['processor']}), "
        f"Python {about['python']}, in {told['seconds']} seconds.\n"
    )
    parts = [f"## {title}\n\n{_markdown(rows)}" for title, rows in _tables(told)]
    page.write_text("\n".join([INTRODUCTION, machine, *parts, METHOD]))


def verdicts(told: dict[str, Any]) -> list[Verdict]:
    cranfield, library = told["sets"]["cranfield"], told["sets"]["library"]
    hybrid, chance = _ndcg(cranfield, Strategy.HYBRID), max(cranfield["p"].values())
    is_above = all(hybrid > _ndcg(cranfield, leg) for leg in LEGS)
    best = max(_ndcg(library, leg) for leg in LEGS)
    share = _ndcg(library, Strategy.HYBRID) / best if best else 0.0
    near = told["neighbours"]["recall"]
    return [
        Verdict(
            f"Cranfield: hybrid's nDCG@10 at least {NDCG}",
            f"{hybrid:.3f}",
            hybrid >= NDCG,
        ),
        Verdict(
            f"Cranfield: hybrid above both legs, p below {CHANCE}",
            f"p {chance:.4f}",
            is_above and chance < CHANCE,
        ),
        Verdict(
            f"Python's library: hybrid at least {SHARE:.0%} of the better leg",
            f"{share:.1%}",
            share >= SHARE,
        ),
        Verdict(
            f"The vector index finds {NEIGHBOURS:.0%} of the ten nearest",
            "no vector index" if near is None else f"{near:.1%}",
            near is not None and near >= NEIGHBOURS,
        ),
    ]


def _ndcg(one: dict[str, Any], strategy: str) -> float:
    return float(one["reporting"][strategy]["ndcg"])


def _tables(told: dict[str, Any]) -> list[tuple[str, Rows]]:
    near = told["neighbours"]
    return [
        ("Found", _scores(told["sets"])),
        ("Fusions, on the tuning halves", _fusions(told["sets"])),
        (
            "Vector index",
            [
                ["chunks", "questions", "recall@10", "median ms"],
                [
                    f"{near['chunks']:,}",
                    str(near["questions"]),
                    "none" if near["recall"] is None else f"{near['recall']:.4f}",
                    f"{near['seconds'] * 1000:.1f}",
                ],
            ],
        ),
        (
            "Targets",
            [
                ["target", "found", "met"],
                *(
                    [one.target, one.found, "yes" if one.is_met else "**no**"]
                    for one in verdicts(told)
                ),
            ],
        ),
    ]


def _scores(sets: dict[str, Any]) -> Rows:
    rows = [["set", "strategy", "nDCG@10", "Recall@10", "p", "nDCG@10, tuning half"]]
    for one in sets.values():
        for strategy in (*LEGS, Strategy.HYBRID):
            found = one["reporting"][strategy]
            chance = one["p"].get(strategy)
            rows.append(
                [
                    f"{one['name']}, {one['questions']} of its questions",
                    strategy,
                    f"{found['ndcg']:.4f}",
                    f"{found['recall']:.4f}",
                    "" if chance is None else f"{chance:.4f}",
                    f"{one['tuning'][strategy]['ndcg']:.4f}",
                ]
            )
    return rows


def _fusions(sets: dict[str, Any]) -> Rows:
    """A row for each weight of meaning over words; columns: rank constants."""
    rows: Rows = []
    for one in sets.values():
        constants = sorted({each["constant"] for each in one["fusions"]})
        rows = rows or [["set", "weight", *(f"k = {c}" for c in constants)]]
        for weight in sorted({each["weight"] for each in one["fusions"]}):
            cells = [
                f"{each['ndcg']:.4f}" + ("*" if _is_ours(each) else "")
                for each in one["fusions"]
                if each["weight"] == weight
            ]
            rows.append([one["name"], f"{weight:g} : 1", *cells])
    return rows


def _is_ours(fusion: dict[str, Any]) -> bool:
    is_weight = fusion["weight"] == SEMANTIC_WEIGHT / KEYWORD_WEIGHT
    return bool(is_weight and fusion["constant"] == RANK_CONSTANT)


def _markdown(rows: Rows) -> str:
    head, *body = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([head, "|" + " --- |" * len(rows[0]), *body, ""])


if __name__ == "__main__":
    write_page(json.loads(RESULT.read_text()))
