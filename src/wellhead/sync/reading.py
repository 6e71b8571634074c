"""Reading what has changed, ahead of what is written, in threads that may hang.

A thread loads one entity after the other, so that a small one costs no change between
threads. Where each takes its time there are more threads, with fewer entities each.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from itertools import chain
from typing import TypeVar

import structlog

from wellhead.domain.errors import EntityError, FailureStage, RetryableError
from wellhead.store.quarantine import Failed
from wellhead.sync.batch import Loaded
from wellhead.sync.failing import crashed, failed, record_suspect
from wellhead.sync.loading import Kept, Read, ToRead, load, split
from wellhead.sync.patience import in_own_thread, while_moving
from wellhead.sync.run import Run
from wellhead.sync.storable import storable

LARGE_BYTES = 8 * 2**20
"""There is memory for one entity of more than this at a time."""
GROUP_BYTES = 2**20
READERS = 8
QUICK_READERS = 2
FEW = 8
"""So few entities in a group mean that each takes its time."""

_log = structlog.get_logger(__name__)

Outcome = Loaded | Kept | Failed
Made = TypeVar("Made")


async def one_by_one(
    run: Run, to_read: Sequence[ToRead]
) -> AsyncGenerator[Outcome, None]:
    """After crashes: write down each entity before it is touched."""
    for one in to_read:
        if one.key == run.caution.poison:
            yield crashed(one.item, one.scope)
            continue
        if run.caution.is_on:
            crashes = run.caution.crashes_at(one.key)
            await record_suspect(run.tools.db, run.job, one.key, crashes=crashes)
        for outcome in await _read_group(run, [one]):
            yield outcome


async def side_by_side(
    run: Run, to_read: Sequence[ToRead]
) -> AsyncGenerator[Outcome, None]:
    """Read ahead of the consumer; yields the entities in the order they came.

    A large one is read alone: there is memory for one of them only.
    """
    ahead: deque[asyncio.Task[list[Outcome]]] = deque()
    try:
        before = READERS
        for group in _groups(run, to_read):
            others = _others_of(run, group)
            while len(ahead) > min(others, before):
                for outcome in await _first(ahead):
                    yield outcome
            ahead.append(asyncio.create_task(_read_group(run, group)))
            before = others
        while ahead:
            for outcome in await _first(ahead):
                yield outcome
    finally:
        for task in ahead:
            task.cancel()
        await asyncio.gather(*ahead, return_exceptions=True)


async def _first(ahead: deque[asyncio.Task[list[Outcome]]]) -> list[Outcome]:
    outcomes = await ahead[0]
    ahead.popleft()
    return outcomes


def _groups(run: Run, to_read: Sequence[ToRead]) -> Iterator[list[ToRead]]:
    """Put small ones together; a document and a large one come alone."""
    group: list[ToRead] = []
    size = 0
    for one in to_read:
        one_size = one.size
        is_alone = one_size > GROUP_BYTES or one.is_document
        if group and (
            is_alone or len(group) >= run.speed.entities or size > GROUP_BYTES
        ):
            yield group
            group, size = [], 0
        group.append(one)
        size += one_size
        if is_alone:
            yield group
            group, size = [], 0
    if group:
        yield group


def _others_of(run: Run, group: Sequence[ToRead]) -> int:
    """How many groups are read beside this one: none beside a large entity.

    Many threads help only where each entity is waited for.
    """
    if group[0].size > LARGE_BYTES:
        return 0
    is_slow = run.speed.entities < FEW or group[0].is_document
    return (READERS if is_slow else QUICK_READERS) - 1


async def _read_group(run: Run, group: Sequence[ToRead]) -> list[Outcome]:
    """Load entities in one thread; those behind one that hangs get their own."""
    loading = _Loading()
    try:
        await _in_thread(run, loading, lambda: loading.load(run, group))
    except EntityError as error:
        read = loading.results.copy()
        read.append(_failed(group[len(read)], error))
        behind = (_read_group(run, [one]) for one in group[len(read) :])
        others = chain.from_iterable(await asyncio.gather(*behind))
        return [*await _with_text(run, read), *others]
    finally:
        run.speed.note(len(group), loading.waited_seconds)
    return await _with_text(run, loading.results)


async def _with_text(run: Run, results: Sequence[Outcome | Read]) -> list[Outcome]:
    return [
        await _convert(run, one) if isinstance(one, Read) else one for one in results
    ]


async def _convert(run: Run, document: Read) -> Outcome:
    """See a document through: its text comes from a process."""
    converter, loading = run.tools.converter, _Loading()
    converting = asyncio.create_task(document.converted_by(converter))
    try:
        converted = await while_moving(
            converting, lambda: converter.documents, lambda: FailureStage.CONVERT
        )
        return await _in_thread(
            run, loading, lambda: split(run, document, converted, loading.tell)
        )
    except Exception as error:  # noqa: BLE001  # one entity, whatever its parser met
        return _failed(document.one, error)


async def _in_thread(run: Run, loading: "_Loading", work: Callable[[], Made]) -> Made:
    """Wait for a thread as long as it gets on, or its source waits as it was told.

    Raises EntityError.
    """
    waits = run.source.surroundings.waits
    task = asyncio.create_task(in_own_thread(work))
    try:
        return await while_moving(
            task, lambda: loading.steps + waits.steps(), lambda: loading.stage
        )
    finally:
        loading.is_given_up = True


class _Loading:
    """How far one thread is; `steps` grows as long as it gets on."""

    def __init__(self) -> None:
        self.results: list[Outcome | Read] = []
        self.stage = FailureStage.READ
        self.steps = 0
        self.is_given_up = False
        self._began = time.monotonic()
        self._worked_seconds = 0.0

    @property
    def waited_seconds(self) -> float:
        return time.monotonic() - self._began - self._worked_seconds

    def tell(self, stage: FailureStage) -> None:
        self.stage = stage
        self.steps += 1
        if self.is_given_up:
            raise EntityError("nobody waits for it any more", stage=stage)

    def load(self, run: Run, group: Sequence[ToRead]) -> None:
        began = time.thread_time()
        try:
            for one in group:
                result: Outcome | Read
                try:
                    self.tell(FailureStage.READ)
                    result = load(run, one, self.tell)
                except Exception as error:  # noqa: BLE001  # one entity, whatever it is
                    result = _failed(one, error)
                if self.is_given_up:
                    return
                self.results.append(result)
        finally:
            self._worked_seconds = time.thread_time() - began


def _failed(one: ToRead, error: Exception) -> Failed:
    if not isinstance(error, EntityError | RetryableError | OSError):
        source_id = storable(one.item.entity.source_id)
        _log.warning("entity broke", source_id=source_id, exc_info=error)
    return failed(one.item, one.scope, error)
