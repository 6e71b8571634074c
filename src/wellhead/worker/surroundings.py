"""What a worker lends the source of a job."""

from wellhead.domain.jobs import SyncJob
from wellhead.services.parts import Parts
from wellhead.sources.base import SourceInfo
from wellhead.sources.rate_limits import RateLimitLevel
from wellhead.sources.surroundings import Surroundings
from wellhead.worker.rate_limits import SharedLimiter


def surroundings(parts: Parts, job: SyncJob, info: SourceInfo) -> Surroundings:
    """Return turns that are shared with all other jobs under the same limit."""
    limit, may_be_private = info.rate_limit, parts.limits.private_sources
    if limit is None:
        return Surroundings(allow_private=may_be_private)
    is_shared_by_all = limit.level is RateLimitLevel.ORGANIZATION
    owner = job.organization_id if is_shared_by_all else job.connection_id
    return Surroundings(
        allow_private=may_be_private,
        limiter=SharedLimiter(parts.db, limit, short_name=info.short_name, owner=owner),
    )
