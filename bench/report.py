"""Tells a result: a table for the terminal and the page docs/benchmarks.md.

`python -m bench.report` writes the page again from the last result.
"""

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import targets
from bench.contest import ROOT, STEPS, Result, memory

RESULT = Path(__file__).with_name("result.json")
API_RESULT = Path(__file__).with_name("result-api.json")
SOURCES_RESULT = Path(__file__).with_name("result-sources.json")
PAGE = ROOT / "docs/benchmarks.md"
Rows = list[list[str]]

INTRODUCTION = """\
# Benchmarks

Written by `make bench` from its own results: do not edit. `make bench-peers` installs
the peers, without which their columns say that they are missing.
"""

METHOD = """\
## How it is measured

- **Corpus**: text files that the machine has (Python's library, installed packages,
  manual pages, documentation), chosen by the hashes of their names, no content twice;
  what is missing is made up. One file in a hundred gets a line more, one is deleted.
- **Steps**: *full* (everything is new), *noop* (nothing changed), *delta* (after
  the changes), *search* (100 queries, the nearest 10: costs of one query). Each step of
  each system is a process of its own, and the systems take turns within a step.
- **CPU**: of the process, its children and PostgreSQL, from a job's claim to its final
  status. Before the clock starts each process syncs and searches a few other files, so
  that imports and loading are in *start*, not in the step. Ratios are those of one
  round; the table has medians.
- **The same work**: the null embedder (384 numbers from a hash) and chunks of at most
  700 characters. The floor and the peers cut after a line, which costs next to nothing;
  Wellhead cuts with its own splitter, so its chunks are others and a little more.
- **Exact**: after each sync the whole store is read back. Each chunk of each document,
  and nothing else, must be there; each query must find its own chunk first.
- **floor**: scan, hash, cut, embed and write to Lance; SQLite remembers the files. No
  retries, no history, no care for crashes: the least that the work can cost.
- **wellhead**: a worker's job from its claim to its end, every promise kept, on the
  embedded PostgreSQL. After each job its maintainer compacts and indexes what was
  written, as it does while nobody waits: *upkeep*, which is outside the step.
- **cocoindex**: a component a file, memoised, one call of the embedder a file, into
  SQLite. Search is a scan of all vectors in memory by NumPy, a lower bound.
- **llamaindex**: `IngestionPipeline` with document store, upserts and deletes, into
  LanceDB; without its folder reader and its cache, which would cost more.
- **Memory**: the most that the process and its children ever held, start included, and
  what PostgreSQL held at the end of the step.
- **Rows**: a table without a column that tells of changes, so each run reads and
  compares all rows. Beside it a bare `psycopg` cursor reads them, 5,000 at a time.
- **MiniLM**: made-up files, synced into a new collection in each round, beside the same
  texts given to the same embedder processes, as many at once; by the clock.
- **Sources**: reading alone, without the rest of a sync, beside the bare client library
  that makes the same reads; the goal is half its rate. *Listed* is what each job does,
  *described* what a first one adds; with files that is to open and read them.
- **Flat memory**: the most that a worker and its children hold in a job of so many
  entities of `bulk_stub`, one process for each size.
"""


def show(told: dict[str, Any]) -> None:
    """Print the one table, the rows and the targets."""
    console = Console(width=120)
    for title, rows in _tables(told):
        table = Table(title=title)
        for at, name in enumerate(rows[0]):
            table.add_column(name, justify="right" if at else "left")
        for row in rows[1:]:
            table.add_row(*row)
        console.print(table)
    for trouble in _troubles(told):
        console.print(trouble)


def write_page(told: dict[str, Any], page: Path = PAGE) -> None:
    parts = [INTRODUCTION, _machine(told)]
    for title, rows in _tables(told):
        parts.append(f"## {title}\n\n{_markdown(rows)}")
    parts.append(_cutting(told))
    parts += [f"- {trouble}\n" for trouble in _troubles(told)]
    if API_RESULT.exists():
        rows = _api(json.loads(API_RESULT.read_text())["requests"])
        parts.append(f"## The API: CPU milliseconds a request\n\n{_markdown(rows)}")
    if SOURCES_RESULT.exists():
        rows = _sources(json.loads(SOURCES_RESULT.read_text())["reads"])
        parts.append(f"## Sources: things read in a second\n\n{_markdown(rows)}")
    page.write_text("\n".join([*parts, METHOD]))


def _tables(told: dict[str, Any]) -> list[tuple[str, Rows]]:
    found = [("Steps", _steps(told))]
    if "rows" in told:
        found.append(("Rows of PostgreSQL", _postgres(told["rows"])))
    return [*found, ("Targets", _targets(told))]


def _machine(told: dict[str, Any]) -> str:
    about, corpus = told["about"], told["corpus"]
    places = ", ".join(f"{count:,} {name}" for name, count in corpus["places"].items())
    versions = ", ".join(f"{name} {one}" for name, one in about["versions"].items())
    return (
        f"Measured {about['date']} on {about['cores']} cores ({about['processor']}), "
        f"{about['memory_gb']} GB, Linux {about['kernel']}, Python {about['python']}; "
        f"load {about['load']} at the start.\n\n"
        f"Versions: {versions}. Rounds: {len(told['rounds'])}.\n\n"
        f"Corpus: {corpus['files']:,} files, {corpus['bytes'] / 1e6:.1f} MB "
        f"({places}); digest `{corpus['digest']}`.\n"
    )


def _cutting(told: dict[str, Any]) -> str:
    """Tell what of a full sync is reading and cutting alone, for it is not the same."""
    full = told["steps"]["full"]
    found = [
        f"{name} {full[name]['cut_cpu']:.2f}"
        for name in ("floor", "wellhead")
        if "cut_cpu" in full[name]
    ]
    return f"CPU seconds of reading and cutting all files alone: {', '.join(found)}.\n"


def _steps(told: dict[str, Any]) -> Rows:
    """A row for each step and system, what it costs and how it compares."""
    head = ["step", "system", "CPU s", "x floor", "wall s", "peak MB", "start CPU s"]
    found = [
        [step, name, *_cells(told["steps"][step][name])]
        for step in STEPS
        for name in targets.names(told)
    ]
    return [[*head, "upkeep CPU s", "chunks", "exact"], *found]


def _troubles(told: dict[str, Any]) -> list[str]:
    """Say why a system has no figures."""
    steps = told["steps"]
    return [
        f"{name}, {step}: {steps[step][name]['error']}"
        for step in STEPS
        for name in targets.names(told)
        if "error" in steps[step][name]
    ]


def _cells(one: Result) -> list[str]:
    if "error" in one:
        return ["missing", "", "", "", "", "", "", ""]
    is_search = "p50" in one
    wall = f"{one['p50']:.3f}" if is_search else f"{one['wall']:.2f}"
    return [
        f"{one['cpu']:.4f}" if is_search else f"{one['cpu']:.2f}",
        f"{one['ratio']:.1f}" if "ratio" in one else "",
        wall,
        f"{memory(one):.0f}",
        f"{one['start_cpu']:.1f}",
        "" if is_search else f"{one['upkeep_cpu']:.2f}",
        "" if is_search else f"{one['chunks']:,.0f}",
        "yes" if one["exact"] else "**no**",
    ]


def _postgres(rows: Result) -> Rows:
    head = ["step", "rows/s", "rows per CPU s", "CPU s", "wall s"]
    if "error" in rows:
        return [head, [str(rows["error"]), "", "", "", ""]]
    count = rows["rows"]
    steps = [
        [
            name,
            f"{count / rows[name]['wall']:,.0f}",
            f"{count / rows[name]['cpu']:,.0f}",
            f"{rows[name]['cpu']:.2f}",
            f"{rows[name]['wall']:.2f}",
        ]
        for name in ("bare", "full", "noop")
    ]
    exact = "exact" if rows["exact"] else "**not exact**"
    peak = f"peak {memory(rows):.0f} MB"
    return [head, *steps, [f"{count:,} rows", exact, peak, "", ""]]


def _targets(told: dict[str, Any]) -> Rows:
    word = {True: "yes", False: "**no**", None: "?"}
    found = targets.verdicts(told)
    return [
        ["target", "found", "met"],
        *([one.target, one.found, word[one.is_met]] for one in found),
    ]


def _api(requests: list[dict[str, Any]]) -> Rows:
    rows = [["request", "bare select", "bare route", "API", "x route", "PostgreSQL"]]
    for one in requests:
        cells = [one["select_ms"], one["bare_ms_1"], one["api_ms_1"]]
        last = [f"{one['ratio_1']:.1f}", f"{one['postgres_ms_1']:.2f}"]
        rows.append([one["request"], *(f"{cell:.2f}" for cell in cells), *last])
    return rows


def _sources(reads: dict[str, dict[str, float]]) -> Rows:
    rows = [["reads", "count", "bare client", "source", "ratio", "ratio of CPU"]]
    for name, one in reads.items():
        rates = [one["count"], one["bare_per_second"], one["per_second"]]
        ratios = [one["ratio"], one["cpu_ratio"]]
        cells = [*(f"{rate:,.0f}" for rate in rates), *(f"{two:.2f}" for two in ratios)]
        rows.append([name, *cells])
    return rows


def _markdown(rows: Rows) -> str:
    head, *body = rows
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def main() -> None:
    told = json.loads(RESULT.read_text())
    show(told)
    write_page(told)


if __name__ == "__main__":
    main()
