from pathlib import Path
from typing import Any

from bench import contest, report, targets

MISSING = {"error": "not installed"}


def _cost(cpu: float, megabytes: float) -> dict[str, Any]:
    return {
        "cpu": cpu,
        "wall": cpu,
        "p50": cpu,
        "upkeep_cpu": 0.0,
        "start_cpu": 1.0,
        "peak_mb": megabytes,
        "server_mb": 0.0,
        "chunks": 10,
        "exact": True,
    }


def _round(scale: float) -> dict[str, dict[str, Any]]:
    row = {
        "floor": _cost(scale, 100),
        "wellhead": _cost(4 * scale, 130),
        "cocoindex": MISSING,
        "llamaindex": _cost(20 * scale, 900),
    }
    return dict.fromkeys(contest.STEPS, row)


def _told() -> dict[str, Any]:
    rounds = [_round(scale) for scale in (1.0, 2.0, 1.5)]
    return {
        "about": {
            "date": "2000-01-01",
            "cores": 2,
            "processor": "a processor",
            "memory_gb": 8,
            "kernel": "6",
            "python": "3.11",
            "load": 0.1,
            "versions": {"wellhead": "0"},
        },
        "corpus": {"files": 1, "bytes": 1, "places": {"man": 1}, "digest": "0"},
        "rounds": rounds,
        "steps": contest.medians(rounds),
        "rows": {"error": "no server"},
    }


def test_ratios_are_those_of_one_round() -> None:
    found = _told()["steps"]["full"]

    assert found["wellhead"]["ratio"] == 4.0
    assert found["wellhead"]["cpu"] == 6.0
    assert found["cocoindex"] == MISSING


def test_targets_say_what_was_met_and_what_was_not_measured() -> None:
    verdicts = {one.target: one for one in targets.verdicts(_told())}

    assert verdicts["full: at most 5 x the floor's CPU"].is_met
    ahead = verdicts["delta: at least 4 x ahead of the best peer in CPU"]
    assert ahead == targets.Verdict(ahead.target, "5.0 x (llamaindex)", is_met=True)
    assert verdicts["rows, full: at least 10,000 rows per CPU second"].is_met is None


def test_the_model_and_the_memory_have_targets_of_their_own() -> None:
    told = _told()
    told["minilm"] = {"share": 0.97, "rate": 97.0, "bare_rate": 100.0}
    told["memory"] = [
        {"entities": 10_000, "peak_mb": 300.0},
        {"entities": 100_000, "peak_mb": 400.0},
    ]
    found = {one.found: one.is_met for one in targets.verdicts(told)}

    assert found["97% (97.0 of 100.0 chunks/s)"]
    assert found["10,000: 300 MB, 100,000: 400 MB"] is False


def test_the_page_tells_a_missing_peer(tmp_path: Path) -> None:
    report.write_page(_told(), tmp_path / "page.md")

    page = (tmp_path / "page.md").read_text()

    assert "| full | cocoindex | missing |" in page
    assert "cocoindex, full: not installed" in page
    assert "2000-01-01" in page
