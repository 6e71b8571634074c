"""Sets of numbers as IMAP writes them: 1:3,7."""

from collections.abc import Iterable

MOST_NUMBERS = 5_000_000
"""No mailbox has more; a range without bounds must not fill the memory."""


def written_numbers(numbers: Iterable[int]) -> str:
    runs: list[list[int]] = []
    for one in sorted(numbers):
        if runs and one <= runs[-1][1] + 1:
            runs[-1][1] = one
        else:
            runs.append([one, one])
    return ",".join(
        str(first) if first == last else f"{first}:{last}" for first, last in runs
    )


def read_numbers(text: str) -> set[int]:
    """Raises ValueError for what is none, or has no end."""
    found: set[int] = set()
    for run in filter(None, text.split(",")):
        first, _, last = run.partition(":")
        begin, end = sorted((int(first), int(last or first)))
        if end - begin > MOST_NUMBERS:
            raise ValueError(f"{run} are too many")
        found.update(range(begin, end + 1))
    return found
