"""What we set ourselves, and whether a result meets it."""

from dataclasses import dataclass
from typing import Any

from bench.contest import FLOOR, PEERS, PRODUCT, Result

SYNCS = {"full": 5.0, "noop": 6.0, "delta": 6.0}
MEMORY, AHEAD = 1.4, 4.0
ROWS_READ, ROWS_FULL = 0.30, 10_000.0
MINILM_SHARE, MEMORY_GROWTH = 0.95, 1.2
NOT_HERE = ("Search p99 during a sync at most 3 times its quiet value",)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One target: what was wanted, what was found; `is_met` None: not measured."""

    target: str
    found: str
    is_met: bool | None


def verdicts(told: dict[str, Any]) -> list[Verdict]:
    steps: dict[str, dict[str, Result]] = told["steps"]
    found = [_to_floor(step, most, steps[step]) for step, most in SYNCS.items()]
    found.append(_memory(steps["full"]))
    found += [_ahead(step, steps[step]) for step in steps]
    found += _rows(told.get("rows") or {"error": "not run"})
    found.append(_minilm(told.get("minilm") or {"error": "not run"}))
    found.append(_flat(told.get("memory") or [{"error": "not run"}]))
    return found + [Verdict(one, "not measured by this run", None) for one in NOT_HERE]


def _to_floor(step: str, most: float, row: dict[str, Result]) -> Verdict:
    target = f"{step}: at most {most:g} x the floor's CPU"
    return _at_most(target, row[PRODUCT.name], "ratio", most)


def _memory(row: dict[str, Result]) -> Verdict:
    target = f"full: at most {MEMORY:g} x the floor's peak memory, PostgreSQL included"
    return _at_most(target, row[PRODUCT.name], "memory_ratio", MEMORY)


def _at_most(target: str, ours: Result, key: str, most: float) -> Verdict:
    if key not in ours:
        return Verdict(target, "not measured", None)
    return Verdict(target, f"{ours[key]:.1f} x", ours[key] <= most)


def _ahead(step: str, row: dict[str, Result]) -> Verdict:
    target = f"{step}: at least {AHEAD:g} x ahead of the best peer in CPU"
    peers = {one.name: row[one.name] for one in PEERS if "cpu" in row[one.name]}
    ours = row[PRODUCT.name]
    if not peers or "cpu" not in ours:
        return Verdict(target, "no peer was measured", None)
    best = min(peers, key=lambda name: float(peers[name]["cpu"]))
    ahead = peers[best]["cpu"] / ours["cpu"]
    return Verdict(target, f"{ahead:.1f} x ({best})", ahead >= AHEAD)


def _rows(rows: Result) -> list[Verdict]:
    read = f"rows, noop: at least {ROWS_READ:.0%} of the bare driver's rate"
    full = f"rows, full: at least {ROWS_FULL:,.0f} rows per CPU second"
    if "error" in rows:
        return [Verdict(one, str(rows["error"]), None) for one in (read, full)]
    walls = rows["bare"]["wall"] / rows["noop"]["wall"]
    cpus = rows["bare"]["cpu"] / rows["noop"]["cpu"]
    rate = rows["rows"] / rows["full"]["cpu"]
    told = f"{walls:.1%} by the clock, {cpus:.1%} by CPU"
    return [
        Verdict(read, told, min(walls, cpus) >= ROWS_READ),
        Verdict(full, f"{rate:,.0f}", rate >= ROWS_FULL),
    ]


def _minilm(found: Result) -> Verdict:
    target = f"MiniLM: at least {MINILM_SHARE:.0%} of the bare embedder's rate"
    if "error" in found:
        return Verdict(target, str(found["error"]), None)
    rates = f"{found['rate']:.1f} of {found['bare_rate']:.1f} chunks/s"
    share = found["share"]
    return Verdict(target, f"{share:.0%} ({rates})", share >= MINILM_SHARE)


def _flat(found: list[Result]) -> Verdict:
    target = f"memory: at most {MEMORY_GROWTH:g} x, however many entities"
    for one in found:
        if "error" in one:
            return Verdict(target, str(one["error"]), None)
    peaks = [one["peak_mb"] for one in found]
    told = ", ".join(f"{one['entities']:,}: {one['peak_mb']:.0f} MB" for one in found)
    is_flat = max(peaks) <= MEMORY_GROWTH * peaks[0] if len(peaks) > 1 else None
    return Verdict(target, told, is_flat)


def names(told: dict[str, Any]) -> list[str]:
    """Return the entrants that have a column."""
    entrants = (FLOOR, PRODUCT, *PEERS)
    return [one.name for one in entrants if one.name in told["steps"]["full"]]
