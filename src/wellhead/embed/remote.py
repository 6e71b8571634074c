"""Embedders behind HTTP: patient with the server, exact about the text it refuses."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import numpy as np
import stamina
from aiolimiter import AsyncLimiter
from numpy.typing import NDArray

from wellhead.domain.chunks import Vectors
from wellhead.domain.errors import (
    EmbedderError,
    FailureClass,
    RefusedTextsError,
    RetryableError,
)
from wellhead.embed.dialects import DIALECTS, Use
from wellhead.embed.names import RemoteModel

PATIENCE_SECONDS = 600.0
"""How long a server may be away before a job gives up; less than a stuck step's."""
WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 60.0
QUERY_TRIES = 2
"""Somebody waits for the answer to a search."""
QUERY_WAIT_SECONDS = 1.0
QUERY_SECONDS = 10.0
BLAMED_TRIES = 3
"""A server that fails so often on the same texts, and not on others, fails on them."""
REQUEST_CHARACTERS = 40_000
"""Of all texts of a request: every provider takes as many tokens."""
TEXT_CHARACTERS = 8_000
BLANK = "(empty)"
"""What stands for a text of nothing, which providers refuse."""

Matrix = NDArray[np.float32]
_REFUSED = (400, 413, 422)
_BUSY = (408, 409, 425, 429)
_SERVER = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How a provider is asked. Without a `url` it is asked at home."""

    url: str | None = None
    key: str | None = field(default=None, repr=False)
    texts: int = 64
    """So many in one request, if the provider takes as many."""
    concurrency: int = 4
    requests_per_minute: int = 0
    """0: as many as it takes."""
    seconds: float = 30
    """How long one answer may take."""
    passage_characters: int = 1_200


class _TroubleError(RetryableError):
    """The server did not answer, or not with vectors; `after` is what it asks for."""

    def __init__(
        self, message: str, *, after: float | None = None, status: int = 0
    ) -> None:
        super().__init__(message, after=after)
        self.is_server = status >= _SERVER


class _RefusedError(Exception):
    """Something about these texts; `failure_class` says if another try may help."""

    def __init__(
        self, message: str, failure_class: FailureClass = FailureClass.PERMANENT
    ) -> None:
        super().__init__(message)
        self.failure_class = failure_class


class RemoteEmbedder:
    """Implements the Embedder port by requests of many texts, several at a time.

    Raises EmbedderError where the operator has to act, or the server stays away.
    """

    def __init__(self, model: RemoteModel, access: Access) -> None:
        self._model = model
        self._dialect = DIALECTS[model.provider]
        base = (access.url or self._dialect.base).rstrip("/")
        self._url = base + self._dialect.path
        self._texts = min(access.texts, self._dialect.most_texts)
        self._chunk_characters = access.passage_characters
        self._slots = asyncio.Semaphore(access.concurrency)
        self._limit: AbstractAsyncContextManager[object] = (
            AsyncLimiter(access.requests_per_minute, 60)
            if access.requests_per_minute
            else nullcontext()
        )
        headers = {"Authorization": f"Bearer {access.key}"} if access.key else {}
        self._seconds = access.seconds
        self._http = httpx.AsyncClient(headers=headers)

    @property
    def name(self) -> str:
        return str(self._model)

    @property
    def dimension(self) -> int:
        return self._model.dimension

    @property
    def chunk_characters(self) -> int:
        return self._chunk_characters

    async def embed(self, texts: Sequence[str]) -> Vectors:
        batches = _batches([_readable(text) for text in texts], self._texts)
        tasks = [asyncio.create_task(self._narrowed(one)) for one in batches]
        try:
            found = [one for some in await asyncio.gather(*tasks) for one in some]
        finally:
            for task in tasks:
                task.cancel()
        rows = np.zeros((len(found), self.dimension), dtype=np.float32)
        refused: dict[int, _RefusedError] = {}
        for place, one in enumerate(found):
            if isinstance(one, _RefusedError):
                refused[place] = one
            else:
                rows[place] = one
        if refused:
            raise _told(refused, rows.data)
        return rows.data if found else memoryview(b"")

    async def embed_query(self, text: str) -> Vectors:
        tries = stamina.retry_context(
            on=_is_short, attempts=QUERY_TRIES, timeout=None, wait_initial=WAIT_SECONDS
        )
        try:
            async for attempt in tries:
                with attempt:
                    return (await self._request([_readable(text)], Use.QUERY)).data
        except _RefusedError as error:
            raise _told({0: error}, memoryview(b"")) from error
        raise RetryableError(f"{self.name} was never asked")

    async def close(self) -> None:
        await self._http.aclose()

    async def _narrowed(self, texts: Sequence[str]) -> list[Matrix | _RefusedError]:
        """Ask for all, or for halves: each text that has a vector is paid once."""
        try:
            return [*await self._asked(texts)]
        except _RefusedError as error:
            if len(texts) == 1:
                return [error]
        middle = len(texts) // 2
        first = await self._narrowed(texts[:middle])
        return first + await self._narrowed(texts[middle:])

    async def _asked(self, texts: Sequence[str]) -> Matrix:
        failures = 0
        tries = stamina.retry_context(
            on=_wait,
            attempts=None,
            timeout=PATIENCE_SECONDS,
            wait_initial=WAIT_SECONDS,
            wait_max=LONGEST_WAIT_SECONDS,
        )
        try:
            async for attempt in tries:
                with attempt:
                    try:
                        async with self._slots:
                            return await self._request(texts, Use.DOCUMENT)
                    except _TroubleError as error:
                        failures += error.is_server
                        if failures == BLAMED_TRIES and await self._answers_others():
                            raise _RefusedError(
                                str(error), FailureClass.TRANSIENT
                            ) from error
                        raise
        except _TroubleError as error:
            raise EmbedderError(
                f"the embedder stays away: {error}. What was committed stays; run "
                "again when it is back"
            ) from error
        raise EmbedderError(f"{self.name} was never asked")

    async def _answers_others(self) -> bool:
        try:
            await self._request([BLANK], Use.DOCUMENT)
        except _TroubleError:
            return False
        return True

    async def _request(self, texts: Sequence[str], use: Use) -> Matrix:
        body = self._dialect.body(self._model, texts, use)
        most = QUERY_SECONDS if use is Use.QUERY else self._seconds
        seconds = min(most, self._seconds)
        try:
            async with self._limit:
                response = await self._http.post(self._url, json=body, timeout=seconds)
        except httpx.HTTPError as error:
            raise _TroubleError(
                f"{self.name} could not be asked ({type(error).__name__})"
            ) from error
        if response.status_code != httpx.codes.OK:
            raise self._refusal(response)
        try:
            rows = self._dialect.rows(response.json())
            self._check_dimension(rows)
            matrix = np.array(rows, dtype=np.float32)
        except (ValueError, TypeError, LookupError) as error:
            raise _TroubleError(f"{self.name} sent no vectors") from error
        if matrix.shape != (len(texts), self.dimension):
            raise _TroubleError(
                f"{self.name} sent {len(matrix)} vectors for {len(texts)} texts"
            )
        lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
        if not (np.isfinite(lengths).all() and lengths.all()):
            raise _RefusedError(f"{self.name} has no direction for this text")
        matrix /= lengths
        return matrix

    def _check_dimension(self, rows: Sequence[Any]) -> None:
        found = {len(row) for row in rows} - {self.dimension}
        if len(found) == 1:
            [other] = found
            raise EmbedderError(
                f"{self.name} answers with vectors of {other} numbers, "
                f"{self.dimension} were expected: set WELLHEAD_EMBEDDER_DIMENSION to "
                f"{other}, or choose another model"
            )

    def _refusal(self, response: httpx.Response) -> Exception:
        status = response.status_code
        said = f"{self.name} answered {status}"
        if status in _REFUSED:
            return _RefusedError(f"{said}: it refuses this text")
        if status in _BUSY or status >= _SERVER:
            return _TroubleError(said, after=_asked_wait(response), status=status)
        if status in (401, 403):
            return EmbedderError(
                f"{said}: it refuses the key, see WELLHEAD_EMBEDDER_API_KEY"
            )
        return EmbedderError(
            f"{said}: see WELLHEAD_EMBEDDER (does it have this model?) and "
            "WELLHEAD_EMBEDDER_URL"
        )


def _readable(text: str) -> str:
    """Return what every provider takes, and reads whole."""
    plain = text[:TEXT_CHARACTERS].replace("\0", " ")
    plain = plain.encode("utf-8", "replace").decode("utf-8")
    return plain if plain.strip() else BLANK


def _batches(texts: Sequence[str], most: int) -> Iterator[list[str]]:
    batch: list[str] = []
    characters = 0
    for text in texts:
        if batch and (
            len(batch) == most or characters + len(text) > REQUEST_CHARACTERS
        ):
            yield batch
            batch, characters = [], 0
        batch.append(text)
        characters += len(text)
    if batch:
        yield batch


def _told(refused: dict[int, _RefusedError], rows: Vectors) -> RefusedTextsError:
    first = next(iter(refused.values()))
    return RefusedTextsError(
        str(first),
        failure_class=first.failure_class,
        refused=frozenset(refused),
        vectors=rows,
    )


def _wait(error: Exception) -> bool | float:
    if not isinstance(error, _TroubleError):
        return False
    return True if error.after is None else min(error.after, LONGEST_WAIT_SECONDS)


def _is_short(error: Exception) -> bool:
    if not isinstance(error, _TroubleError):
        return False
    return True if error.after is None else error.after <= QUERY_WAIT_SECONDS


def _asked_wait(response: httpx.Response) -> float | None:
    """Read Retry-After: seconds, or a date."""
    said = response.headers.get("retry-after", "")
    readers: list[Callable[[str], float]] = [
        float,
        lambda date: parsedate_to_datetime(date).timestamp() - time.time(),
    ]
    for read in readers:
        try:
            seconds = read(said)
        except (ValueError, TypeError):
            continue
        return max(0.0, seconds) if np.isfinite(seconds) else None
    return None
