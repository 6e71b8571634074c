"""Describing an entity's failure so that it can be stored, shown and retried."""

from sqlalchemy.ext.asyncio import AsyncEngine

from wellhead.domain.errors import (
    EntityError,
    FailureClass,
    FailureStage,
    SyncError,
)
from wellhead.domain.items import Failure, Ref, Upsert
from wellhead.domain.jobs import JobStatus, SyncJob
from wellhead.store import jobs
from wellhead.store.quarantine import DEATH, Failed
from wellhead.sync.storable import (
    MOST_ID_CHARACTERS,
    storable,
    stored_access,
    stored_version,
    version_of,
)

REASON_CHARACTERS = 2_000


def failed(item: Upsert, scope: str, error: Exception) -> Failed:
    """Describe an entity's failure by what was raised.

    Whatever is no error of the protocol's own may pass, as the network's errors do.
    """
    stage, failure_class = FailureStage.READ, FailureClass.TRANSIENT
    if isinstance(error, EntityError):
        stage, failure_class = error.stage, error.failure_class
    entity = item.entity
    return Failed(
        entity_key=item.key,
        scope=scope,
        type=storable(entity.type)[:MOST_ID_CHARACTERS],
        source_id=storable(entity.source_id)[:MOST_ID_CHARACTERS],
        source_version=version_of(entity),
        stage=stage,
        failure_class=failure_class,
        reason=reason(_words(error)),
        access=stored_access(entity.access),
    )


def _words(error: Exception) -> str:
    said, kind = str(error), type(error).__name__
    if isinstance(error, SyncError | OSError):
        return said or kind
    return f"unexpected {kind}: {said}"


def told(item: Failure, ref: Ref, scope: str) -> Failed:
    """Describe an entity's failure as its source tells it."""
    return Failed(
        entity_key=ref.key,
        scope=scope,
        type=storable(ref.type)[:MOST_ID_CHARACTERS],
        source_id=storable(ref.source_id)[:MOST_ID_CHARACTERS],
        source_version=stored_version(item.source_version),
        stage=item.stage,
        failure_class=item.failure_class,
        reason=reason(item.reason),
    )


def crashed(item: Upsert, scope: str) -> Failed:
    """Describe the entity at which the worker died again and again."""
    error = EntityError(DEATH, stage=FailureStage.CONVERT)
    return failed(item, scope, error)


async def record_suspect(
    db: AsyncEngine, job: SyncJob, key: bytes, *, crashes: int
) -> None:
    """Before a cautious run touches an entity, write down which one it is."""
    async with db.begin() as connection:
        await jobs.lock(connection, job, JobStatus.RUNNING)
        values = {"suspect_key": key, "crashes": crashes}
        await jobs.patch(connection, job, values)


def transient(message: str, stage: FailureStage) -> EntityError:
    """Return an error that is worth another try."""
    return EntityError(message, stage=stage, failure_class=FailureClass.TRANSIENT)


def reason(message: str) -> str:
    """Return an error's words as they can be stored and shown."""
    return storable(message)[:REASON_CHARACTERS]
