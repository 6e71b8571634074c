"""Describing an entity's failure so that it can be stored, shown and retried."""

from sqlalchemy.ext.asyncio import AsyncEngine

from wellhead.domain.errors import EntityError, FailureClass, FailureStage
from wellhead.domain.items import Upsert
from wellhead.domain.jobs import JobStatus, SyncJob
from wellhead.store import jobs
from wellhead.store.quarantine import Failed

REASON_CHARACTERS = 2_000


def failed(item: Upsert, scope: str, error: Exception) -> Failed:
    """Describe an entity's failure by what was raised."""
    stage, failure_class = FailureStage.READ, FailureClass.TRANSIENT
    if isinstance(error, EntityError):
        stage, failure_class = error.stage, error.failure_class
    entity = item.entity
    return Failed(
        entity_key=item.key,
        scope=scope,
        type=storable(entity.type),
        source_id=storable(entity.source_id),
        source_version=entity.source_version,
        stage=stage,
        failure_class=failure_class,
        reason=reason(str(error) or type(error).__name__),
    )


def crashed(item: Upsert, scope: str) -> Failed:
    """Describe the entity at which the worker died again and again."""
    error = EntityError(
        "the worker died three times while working on it", stage=FailureStage.CONVERT
    )
    return failed(item, scope, error)


async def record_suspect(db: AsyncEngine, job: SyncJob, key: bytes) -> None:
    """Before a cautious run touches an entity, write down which one it is."""
    async with db.begin() as connection:
        await jobs.lock(connection, job, JobStatus.RUNNING)
        await jobs.patch(connection, job, {"suspect_key": key})


def transient(message: str, stage: FailureStage) -> EntityError:
    """Return an error that is worth another try."""
    return EntityError(message, stage=stage, failure_class=FailureClass.TRANSIENT)


def reason(message: str) -> str:
    """Return an error's words as they can be stored and shown."""
    return storable(message)[:REASON_CHARACTERS]


def storable(text: str) -> str:
    """Return an identifier that PostgreSQL takes, one to one for all usual ones."""
    if "\x00" in text:
        text = text.replace("\x00", "\\0")
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
