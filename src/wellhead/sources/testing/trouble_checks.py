"""What a source has to do when its vendor or the network is in trouble."""

import asyncio
import time
from collections.abc import AsyncIterator
from itertools import product

import httpx

from wellhead.domain.errors import CredentialsError, RetryableError, SyncError
from wellhead.domain.items import Item
from wellhead.sources.base import Source
from wellhead.sources.surroundings import Timeouts
from wellhead.sources.testing.faults import (
    Circle,
    Effect,
    Fault,
    a_web_page,
    broken,
    half_json,
    instead,
    status,
)
from wellhead.sources.testing.reading import Outcome
from wellhead.sources.testing.stage import Stage, stage
from wellhead.sources.testing.vendor import Vendor

QUICK = Timeouts(connect=5.0, silence=0.2, answer=0.4, file=0.4)
STOP_SECONDS = 1.0
GIVE_UP_SECONDS = 5.0
BUSY_SECONDS = 7.0
PASSING: dict[str, Effect] = {
    "a 500": status(500),
    "a 502": status(502),
    "a 503": status(503),
    "a 503 with Retry-After": status(503, retry_after="0"),
    "half of the JSON": half_json,
    "a web page instead of JSON": a_web_page,
    "an answer that is cut off": broken(Fault.CUT_OFF),
    "a connection that is closed": broken(Fault.HANG_UP),
}


async def gets_over_passing_trouble(kind: type[Vendor]) -> list[str]:
    """One bad answer, wherever it comes, changes nothing of what is read."""
    async with stage(kind, records=kind.crowd) as on:
        clean = await on.first_read()
        wrong = [] if clean.is_whole else ["a full read is not complete"]
        places = on.places()
        for name, effect in PASSING.items():
            for at in places:
                found = await on.read(effect, at=at)
                where = f"{name} at request {at}"
                if found.error is not None:
                    wrong.append(f"{where}: {_said(found.error)}")
                elif found.entities.keys() != clean.entities.keys():
                    wrong.append(f"{where}: other entities are read")
                elif not found.is_whole:
                    wrong.append(f"{where}: the listing is no longer complete")
    return wrong


async def gives_up_on_lasting_trouble(kind: type[Vendor]) -> list[str]:
    """A vendor that stays away raises RetryableError, and nothing is deleted."""
    wrong: list[str] = []
    async with stage(kind, records=kind.crowd) as on:
        clean = await on.first_read()
        places = on.places()
        for name, effect in PASSING.items():
            if "Retry-After" in name:
                continue  # that is waited for, however often
            for at in places:
                found = await on.read(effect, at=at, times=None)
                where = f"{name} from request {at} on"
                wrong += _deletes(where, found, clean)
                if not isinstance(found.error, RetryableError):
                    wrong.append(
                        f"{where}: no RetryableError, but {_said(found.error)}"
                    )
    return wrong


async def names_refused_credentials(kind: type[Vendor]) -> list[str]:
    """A 401 raises CredentialsError, also in the midst of a read."""
    wrong = []
    async with stage(kind, records=kind.crowd) as on:
        await on.first_read()
        for at in on.places():
            found = await on.read(status(401), at=at, times=None)
            if not isinstance(found.error, CredentialsError):
                wrong.append(f"401 at request {at}: {_said(found.error)}")
        on.trouble = type(on.trouble)(status(401), times=None)
        source = on.connect()
        try:
            await source.check()
            wrong.append("its check passes though the vendor answers 401")
        except CredentialsError:
            pass
        finally:
            await source.close()
    return wrong


async def deletes_nothing_that_was_refused(kind: type[Vendor]) -> list[str]:
    """After a 400, 403, 404 or 410 nothing counts as gone that was not shown."""
    wrong = []
    async with stage(kind, records=kind.crowd) as on:
        clean = await on.first_read()
        places = on.places()
        for code in (400, 403, 404, 410):
            for at in places:
                for times in (1, None):
                    found = await on.read(status(code), at=at, times=times)
                    where = f"{code} at request {at}"
                    if not isinstance(found.error, SyncError | None):
                        wrong.append(f"{where}: {_said(found.error)}")
                    if not (code in (404, 410) and _is_about_one(on)):
                        wrong += _deletes(where, found, clean)
    return wrong


async def refuses_to_go_round_in_circles(kind: type[Vendor]) -> list[str]:
    """A vendor that gives the first page for ever ends the read with an error."""
    async with stage(kind, records=kind.crowd) as on:
        clean = await on.first_read()
        most = 20 * len(on.trouble.requests) + 100
        paths = [f"{one.method} {one.url.path}" for one in on.trouble.requests]
        if len(set(paths)) == len(paths):
            return [f"{kind.crowd} records are a single page: raise `crowd`"]
        try:
            async with asyncio.timeout(GIVE_UP_SECONDS):
                found = await on.read(Circle(), times=None)
        except TimeoutError:
            return ["it goes round in circles for ever"]
        wrong = _deletes("the first page again and again", found, clean)
        if found.error is None:
            wrong.append("the first page again and again is taken for a listing")
        elif not isinstance(found.error, SyncError):
            wrong.append(f"going in circles: {_said(found.error)}")
        if len(on.trouble.requests) > most:
            wrong.append(f"{len(on.trouble.requests)} requests in circles")
        return wrong


async def waits_as_it_was_told(kind: type[Vendor]) -> list[str]:
    """Each way of saying "too fast" is waited for, told, and costs no entity."""
    wrong = []
    async with stage(kind, records=kind.crowd) as on:
        clean = await on.first_read()
        places = on.places()
        for answer in on.vendor.busy():
            for at in places:
                on.slept.clear()
                on.told.clear()
                found = await on.read(instead(answer), at=at)
                where = f"{answer.status_code} {dict(answer.headers)} at request {at}"
                if found.error is not None or not found.is_whole:
                    wrong.append(f"{where}: {_said(found.error)}")
                if found.entities.keys() != clean.entities.keys():
                    wrong.append(f"{where}: other entities are read")
                if max(on.slept, default=0.0) < BUSY_SECONDS - 1:
                    wrong.append(f"{where}: waited {on.slept}, not {BUSY_SECONDS:g} s")
                if not on.told or on.told[-1] != 0:
                    wrong.append(f"{where}: nobody heard that it waits: {on.told}")
            wrong += await _raises_a_long_wait(on, answer)
    return wrong


async def _raises_a_long_wait(on: Stage, answer: httpx.Response) -> list[str]:
    """Who has no time to wait is told for how long it would be."""
    on.longest_wait_seconds = 0.0
    try:
        found = await on.read(instead(answer), times=None)
    finally:
        on.longest_wait_seconds = 3600.0
    error = found.error
    if isinstance(error, RetryableError) and (error.after or 0) >= BUSY_SECONDS - 1:
        return []
    return [f"{answer.status_code}: a wait that is too long is {_said(error)}"]


async def does_not_wait_for_ever(kind: type[Vendor]) -> list[str]:
    """Silence, a body that stalls, and one that drips are given up."""
    wrong = []
    async with stage(kind, records=kind.crowd) as on:
        clean = await on.first_read()
        on.timeouts = QUICK
        last = len(on.trouble.requests) - 1
        for fault, at in product((Fault.SILENCE, Fault.STALL, Fault.DRIP), {0, last}):
            where = f"{fault} at request {at}"
            try:
                async with asyncio.timeout(GIVE_UP_SECONDS):
                    found = await on.read(broken(fault), at=at, times=None, tries=1)
            except TimeoutError:
                wrong.append(f"{where}: it waits for ever")
                continue
            wrong += _deletes(where, found, clean)
            if not isinstance(found.error, RetryableError):
                wrong.append(f"{where}: {_said(found.error)}")
    return wrong


async def stops_within_a_second(kind: type[Vendor]) -> list[str]:
    """A read that is cancelled while its vendor is silent ends, and leaves nothing."""
    wrong = []
    async with stage(kind, records=kind.crowd) as on:
        await on.first_read()
        for at in on.places():
            on.trouble = type(on.trouble)(broken(Fault.SILENCE), at, None)
            before = asyncio.all_tasks()
            source = on.connect()
            reading = asyncio.create_task(_read_all(source))
            coming = asyncio.create_task(on.trouble.came.wait())
            await asyncio.wait({reading, coming}, return_when=asyncio.FIRST_COMPLETED)
            coming.cancel()
            began = time.monotonic()
            reading.cancel()
            await asyncio.wait({reading}, timeout=5 * STOP_SECONDS)
            await source.close()
            seconds = time.monotonic() - began
            if not reading.done() or seconds > STOP_SECONDS:
                wrong.append(f"at request {at} it takes {seconds:.1f} s to stop")
            wrong += [
                f"still running after a stop at request {at}: {task.get_coro()}"
                for task in asyncio.all_tasks() - before - {reading, coming}
            ]
    return wrong


async def _read_all(source: Source) -> None:
    items: AsyncIterator[Item] = source.read(None)
    async for _ in items:
        pass


def _deletes(where: str, found: Outcome, clean: Outcome) -> list[str]:
    lost = found.lost(clean)
    return [f"{where}: {len(lost)} would be deleted"] if lost else []


def _is_about_one(on: Stage) -> bool:
    return all(map(on.vendor.is_about_one, on.trouble.hit))


def _said(error: Exception | None) -> str:
    return "no error" if error is None else f"{type(error).__name__}: {error}"
