"""How long a step may go without progress (sync protocol, section 9)."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from contextvars import copy_context
from functools import partial
from typing import ParamSpec, TypeVar

from wellhead.domain.errors import (
    EmbedderError,
    EntityError,
    FailureClass,
    FailureStage,
    JobError,
)

STUCK_SECONDS = 15 * 60.0
"""A step that makes no progress for this long is given up, not the job."""
NARROWING_SECONDS = 60.0
"""How long an embedder that has just hung is waited for while we look for the text."""
MOST_HUNG = 12
"""More than it takes to narrow 2,048 entities down to one."""
CLEANUP_SECONDS = 1.0

_Given = ParamSpec("_Given")
_Made = TypeVar("_Made")


def spoken(seconds: float) -> str:
    """Return a time as it is said in an error."""
    if seconds < 120:
        return f"{seconds:g} s"
    return f"{seconds / 60:g} minutes"


def stuck(stage: FailureStage, seconds: float) -> EntityError:
    """Describe an entity's step that was given up; it is worth another try."""
    return EntityError(
        f"no progress for {spoken(seconds)}",
        stage=stage,
        failure_class=FailureClass.TRANSIENT,
    )


@asynccontextmanager
async def index_patience() -> AsyncIterator[None]:
    """Give up an index that does not answer, and the job, which writes nothing else.

    What is asked of it at once is a few megabytes: no disk that moves takes so long.
    Raises JobError.
    """
    seconds = STUCK_SECONDS
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            yield
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise JobError(
            f"the index did not answer for {spoken(seconds)}: look at its disk, then "
            "run again; what was committed stays"
        ) from error


async def while_moving(
    task: asyncio.Task[_Made],
    progress: Callable[[], int],
    stage: Callable[[], FailureStage],
) -> _Made:
    """Wait for a task as long as `progress` changes now and then. Raises EntityError.

    For a place in a queue: whoever waits behind the slow is not stuck.
    """
    seconds = STUCK_SECONDS
    try:
        while not task.done():
            before = progress()
            await asyncio.wait({task}, timeout=seconds)
            if not task.done() and progress() == before:
                raise stuck(stage(), seconds)
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=CLEANUP_SECONDS)


async def in_own_thread(
    work: Callable[_Given, _Made], *args: _Given.args, **kwargs: _Given.kwargs
) -> _Made:
    """Run blocking work of a connector where it can hang without holding up others.

    The thread of work that was given up stays behind, and does not keep the process
    from ending.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_Made] = loop.create_future()

    def tell(settle: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # nobody waits any more, not even the loop
            loop.call_soon_threadsafe(lambda: None if future.done() else settle())

    def run() -> None:
        try:
            result = work(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001  # raised again where it is awaited
            reason = error
            tell(lambda: future.set_exception(reason))
        else:
            tell(lambda: future.set_result(result))

    # what it logs is of the job that wants it
    run_here = partial(copy_context().run, run)
    threading.Thread(target=run_here, name="connector", daemon=True).start()
    return await future


class EmbedderPatience:
    """How long a job waits for one answer of the embedder.

    After a hang the culprit is looked for by halves, with less time for each try; one
    that answers nothing at all fails the job.
    """

    def __init__(self) -> None:
        self.seconds = STUCK_SECONDS
        self._hung = 0

    def answered(self) -> None:
        self.seconds = STUCK_SECONDS
        self._hung = 0

    def hung(self) -> None:
        """Raises JobError when it has hung again and again, without an answer."""
        self._hung += 1
        self.seconds = min(self.seconds, NARROWING_SECONDS)
        if self._hung >= MOST_HUNG:
            said = f"the embedder did not answer {self._hung} times in a row"
            raise EmbedderError(said)
