"""No secret of a connection shows, whatever goes wrong."""

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from wellhead.domain.errors import SyncError
from wellhead.sources.fields import fields_of
from wellhead.sources.testing.faults import Effect, Fault, broken, half_json, status
from wellhead.sources.testing.reading import Outcome
from wellhead.sources.testing.stage import Stage, stage
from wellhead.sources.testing.vendor import Vendor

TROUBLES: dict[str, Effect] = {
    **{f"a {code}": status(code) for code in (400, 401, 403, 404, 410, 422, 500)},
    "half of the JSON": half_json,
    "an answer that is cut off": broken(Fault.CUT_OFF),
    "a connection that is closed": broken(Fault.HANG_UP),
}


async def tells_no_secret(kind: type[Vendor]) -> list[str]:
    """Neither errors nor logs hold one, though the vendor repeats what it was sent."""
    wrong = []
    secrets = _secrets(kind)
    async with stage(kind, records=20) as on:
        with _logged() as lines:
            await on.first_read()
            places = on.places()
            for name, effect in {"no trouble": None, **TROUBLES}.items():
                for at in places:
                    found = await on.read(effect, at=at, times=None)
                    said = await _said(on, found)
                    if any(one in said for one in secrets):
                        wrong.append(f"{name} at request {at}: a secret in {said!r}")
        shown = [line for line in lines if any(one in line for one in secrets)]
        wrong += [f"a secret in the log: {line!r}" for line in shown[:3]]
    return wrong if secrets else ["the credentials of the vendor hold no secret"]


def _secrets(kind: type[Vendor]) -> list[str]:
    fields = fields_of(kind.source.credentials_model)
    found = [kind.credentials.get(one.name) for one in fields if one.is_secret]
    return [str(one) for one in found if one]


async def _said(on: Stage, found: Outcome) -> str:
    """Return everything that people could come to read of this."""
    source = on.connect()
    words = [failure.reason for failure in found.failures]
    errors = [found.error]
    try:
        await source.check()
    except SyncError as error:
        errors.append(error)
    finally:
        await source.close()
    for one in errors:
        if one is not None:
            words += [repr(one), *traceback.format_exception(one)]
    return " ".join(words)


@contextmanager
def _logged() -> Iterator[list[str]]:
    """Collect what is logged at every level, with its traces."""
    lines: list[str] = []
    format_line = logging.Formatter("%(name)s %(message)s").format

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(f"{format_line(record)} {record.__dict__!r}")

    root, collector = logging.getLogger(), Collector()
    level = root.level
    root.addHandler(collector)
    root.setLevel(logging.DEBUG)
    try:
        yield lines
    finally:
        root.setLevel(level)
        root.removeHandler(collector)
