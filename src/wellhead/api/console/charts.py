"""Charts as plain numbers: templates draw them as SVG, nothing is drawn by a script."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate

from wellhead.domain.glances import Growth

WIDTH, HEIGHT = 640.0, 160.0
MOST_SERIES = 6
MOST_POINTS = 90
OTHERS = "Others"
_MINIMUM = 1.5
"""So many units high is the least bar that is more than nothing."""


@dataclass(frozen=True, slots=True)
class Area:
    """One kind in a stacked chart: its outline, and how many there are at the end."""

    name: str
    number: int
    path: str
    total: int


@dataclass(frozen=True, slots=True)
class Stack:
    """A stacked chart, its largest value and the days at its ends."""

    areas: list[Area]
    top: int
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class Column:
    """A bar that stands: where, how high, and in which part."""

    x: float
    width: float
    height: float
    y: float


def stacked(growth: Sequence[Growth], until: datetime) -> Stack | None:
    """Draw how many of each type had come by each day; None if nothing has."""
    if not growth:
        return None
    first = growth[0].day
    days = max(1, (until - first).days + 1)
    step = max(1, -(-days // MOST_POINTS))
    points = -(-days // step)
    per_type: dict[str, list[int]] = {}
    for one in growth:
        place = min((one.day - first).days // step, points - 1)
        per_type.setdefault(one.entity_type, [0] * points)[place] += one.arrived
    summed = {name: list(accumulate(row)) for name, row in per_type.items()}
    rows = _few(summed, points)
    top = max(1, sum(row[-1] for _, row in rows))
    below = [0] * points
    areas = []
    for number, (name, row) in enumerate(rows):
        above = [one + other for one, other in zip(below, row, strict=True)]
        areas.append(Area(name, number, _outline(below, above, top), row[-1]))
        below = above
    last = first + timedelta(days=days - 1)
    return Stack(areas, top, first, last)


def _few(summed: Mapping[str, list[int]], points: int) -> list[tuple[str, list[int]]]:
    """Keep the largest, and put the others into one."""
    ordered = sorted(summed.items(), key=lambda one: (-one[1][-1], one[0]))
    kept, others = ordered[:MOST_SERIES], ordered[MOST_SERIES:]
    if not others:
        return kept
    rest = [sum(row[place] for _, row in others) for place in range(points)]
    return [*kept, (OTHERS, rest)]


def _outline(below: Sequence[int], above: Sequence[int], top: int) -> str:
    if len(above) == 1:  # one day: a flat band rather than a line without width
        below, above = [below[0]] * 2, [above[0]] * 2
    wide = WIDTH / (len(above) - 1)
    along = [(place * wide, _y(value, top)) for place, value in enumerate(above)]
    back = [(place * wide, _y(value, top)) for place, value in enumerate(below)]
    corners = [*along, *reversed(back)]
    return "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in corners) + " Z"


def _y(value: float, top: float) -> float:
    return HEIGHT - value / top * HEIGHT


def columns(
    values: Sequence[float], *, width: float = WIDTH, height: float = HEIGHT
) -> list[Column]:
    """Draw one bar for each value; what is more than nothing can be seen."""
    top = max([*values, 0]) or 1
    wide = min(28.0, width / max(1, len(values)))
    found = []
    for place, value in enumerate(values):
        tall = 0.0 if value <= 0 else max(_MINIMUM, value / top * height)
        found.append(Column(place * wide, max(1.0, wide - 2), tall, height - tall))
    return found


def split(parts: Sequence[float], *, width: float = 100.0) -> list[tuple[float, float]]:
    """Lay parts side by side in a bar: where each begins, and how wide it is."""
    total = sum(parts)
    if total <= 0:
        return [(0.0, 0.0) for _ in parts]
    wide = [one / total * width for one in parts]
    begins = [0.0, *accumulate(wide)]
    return [(round(x, 2), round(w, 2)) for x, w in zip(begins, wide, strict=False)]
