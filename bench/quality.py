"""How good searches are: `python -m bench.quality`, by the API of a running server.

The documents are files that a worker syncs with the MiniLM embedder. Half of the
questions is there to tune on; what is reported is the other half.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from bench import judged, neighbours, quality_page, ranking
from bench.__main__ import about
from bench.api import environment_of, installed, serve, until_ready
from bench.judged import Judged, Question
from wellhead.domain.search import Strategy

RESULT = Path(__file__).with_name("result-quality.json")
DEPTH, CLIENTS, PATIENCE = 50, 2, 10
WEIGHTS = (0.5, 1.0, 1.5, 2.0, 3.0)
CONSTANTS = (10, 20, 40, 60)
STRATEGIES = tuple(Strategy)
console = Console(stderr=True)


@dataclass(frozen=True, slots=True)
class Found:
    """What each strategy found for a question: passages by id, and their items.

    Of documents that are shown once the id is theirs.
    """

    question: Question
    passages: dict[str, list[str]]
    items: dict[str, str]

    def ranked(self, strategy: str) -> list[str]:
        return self.items_of(self.passages[strategy])

    def items_of(self, passages: Sequence[str]) -> list[str]:
        return [self.items[one] for one in passages]


async def find_all(client: httpx.AsyncClient, name: str, of: Judged) -> list[Found]:
    left: Iterator[Question] = iter(of.questions)
    found: dict[str, Found] = {}

    async def one() -> None:
        for question in left:
            found[question.id] = await _find(client, name, of, question)

    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(one())
    return [found[question.id] for question in of.questions]


async def _find(
    client: httpx.AsyncClient, name: str, of: Judged, question: Question
) -> Found:
    passages: dict[str, list[str]] = {}
    items: dict[str, str] = {}
    for strategy in STRATEGIES:
        asked = {
            "query": question.text,
            "limit": DEPTH,
            "retrieval_strategy": strategy,
            "group_by_entity": of.is_of_documents,
        }
        results = (await _answer(client, name, asked))["results"]
        passages[strategy] = []
        for one in results:
            document = one["airweave_system_metadata"]["original_entity_id"]
            key = document if of.is_of_documents else one["entity_id"]
            passages[strategy].append(key)
            items[key] = of.item(question, document, one["textual_representation"])
    return Found(question, passages, items)


async def _answer(client: httpx.AsyncClient, name: str, asked: Any) -> Any:
    """Ask until there is an answer: a machine that is busy is not measured here."""
    for _ in range(PATIENCE):
        answer = await client.post(f"/collections/{name}/search/instant", json=asked)
        if answer.status_code != HTTPStatus.SERVICE_UNAVAILABLE:
            break
        await asyncio.sleep(1)
    return answer.raise_for_status().json()


async def sync(client: httpx.AsyncClient, name: str, folder: Path) -> dict[str, Any]:
    """Sync a folder into a collection of its own, by a job that a worker runs."""
    body: dict[str, Any] = {"name": name, "readable_id": name}
    (await client.post("/collections", json=body)).raise_for_status()
    body = {
        "short_name": "file_system",
        "readable_collection_id": name,
        "config": {"path": str(folder)},
        "sync_immediately": False,
    }
    made = (await client.post("/source-connections", json=body)).raise_for_status()
    path = f"/source-connections/{made.json()['id']}"
    start = time.monotonic()
    job = (await client.post(f"{path}/run")).raise_for_status().json()
    while job["status"] in ("pending", "running"):
        await asyncio.sleep(0.5)
        jobs = (await client.get(f"{path}/jobs/{job['id']}")).raise_for_status()
        job = jobs.json()
    if job["status"] != "completed" or job["entities_failed"]:
        raise RuntimeError(f"the job did not go well: {job}")
    seconds = time.monotonic() - start
    return {"entities": job["entities_inserted"], "sync_seconds": round(seconds, 1)}


def judge(found: Sequence[Found]) -> dict[str, Any]:
    """Score the strategies on both halves, and the fusions on the one to tune on."""
    by_id = {one.question.id: one for one in found}
    tuning, reporting = (
        [by_id[one] for one in half] for half in ranking.halves([*by_id])
    )
    told: dict[str, Any] = {"questions": len(reporting)}
    for half, ones in (("tuning", tuning), ("reporting", reporting)):
        told[half] = {strategy: _scores(ones, strategy) for strategy in STRATEGIES}
    hybrid = _each(reporting, Strategy.HYBRID)
    told["p"] = {
        leg: ranking.p_value(hybrid, _each(reporting, leg))
        for leg in (Strategy.KEYWORD, Strategy.SEMANTIC)
    }
    told["fusions"] = [
        {"weight": weight, "constant": constant}
        | {"ndcg": ranking.mean([_fused(one, weight, constant) for one in tuning])}
        for weight in WEIGHTS
        for constant in CONSTANTS
    ]
    return told


def _scores(ones: Sequence[Found], strategy: str) -> dict[str, float]:
    recalls = [
        ranking.recall(one.ranked(strategy), one.question.relevant) for one in ones
    ]
    return {
        "ndcg": ranking.mean(_each(ones, strategy)),
        "recall": ranking.mean(recalls),
    }


def _each(ones: Sequence[Found], strategy: str) -> list[float]:
    return [ranking.ndcg(one.ranked(strategy), one.question.relevant) for one in ones]


def _fused(one: Found, weight: float, constant: float) -> float:
    legs = [one.passages[leg] for leg in (Strategy.SEMANTIC, Strategy.KEYWORD)]
    passages = ranking.fused(legs, (weight, 1.0), constant)
    return ranking.ndcg(one.items_of(passages), one.question.relevant)


async def measure(
    sets: dict[str, Judged], work: Path, url: str, told: dict[str, Any]
) -> None:
    """Add what is found of each set to what is told."""
    key = (work / "data" / "api_key").read_text().strip()
    async with httpx.AsyncClient(
        base_url=url, headers={"x-api-key": key}, timeout=300
    ) as client:
        for name, of in sets.items():
            folder = work / name
            of.write(folder)
            folder.chmod(0o755)
            console.print(f"{of.name}: syncing {len(of.documents):,} documents")
            synced = await sync(client, name, folder)
            console.print(f"{of.name}: {synced}, asking {len(of.questions)} questions")
            told[name] = synced | {"name": of.name}
            told[name] |= judge(await find_all(client, name, of))
            console.print_json(data=told[name])


def run(folder: Path) -> dict[str, Any]:
    told: dict[str, Any] = {"about": about(), "sets": {}}
    sets = {"cranfield": judged.cranfield(folder), "library": judged.library()}
    with installed() as (work, postgres):
        environment = environment_of(work / "data", postgres, embedder="minilm")
        with serve(["wellhead.app.processes", "api"], environment) as api:
            asyncio.run(until_ready(api))
            with serve(["wellhead.app.processes", "worker"], environment):
                asyncio.run(measure(sets, work, api.url, told["sets"]))
        console.print("comparing the vector index with an exact scan")
        questions = [one.text for of in sets.values() for one in of.questions]
        texts = judged.sentences(sets["cranfield"])
        told["neighbours"] = neighbours.measure(work / "near", texts, questions)
    return told


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cranfield", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=RESULT)
    given = parser.parse_args()
    if not (given.cranfield / "cran.xml").is_file():
        console.print(
            f"There is no cran.xml in {given.cranfield}: set EVAL_DIR to the folder of "
            "the Cranfield collection (cran.xml, cran.qry, cran.qrel)"
        )
        sys.exit(2)
    start = time.monotonic()
    told = run(given.cranfield)
    told["seconds"] = round(time.monotonic() - start)
    given.out.write_text(json.dumps(told, indent=1))
    quality_page.show(told)
    if given.out == RESULT:
        quality_page.write_page(told)
    if not all(one.is_met for one in quality_page.verdicts(told)):
        sys.exit(1)


if __name__ == "__main__":
    main()
