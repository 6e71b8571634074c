"""How much is used; nothing here is ever refused for it."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from wellhead.services.parts import Parts
from wellhead.store import usage as store
from wellhead.store.usage import Usage


@dataclass(frozen=True, slots=True)
class Period:
    """A calendar month, in UTC."""

    begins: datetime
    ends: datetime


@dataclass(frozen=True, slots=True)
class MonthOfUse:
    """What there is, in the month that we have."""

    organization_id: UUID
    period: Period
    at: datetime
    usage: Usage


async def usage_of(parts: Parts, organization_id: UUID) -> MonthOfUse:
    """Count what an organization has now and synced this month."""
    now = parts.clock.now()
    period = month_of(now)
    async with parts.db.connect() as connection:
        found = await store.usage(connection, organization_id, since=period.begins)
    return MonthOfUse(organization_id, period, now, found)


def month_of(now: datetime) -> Period:
    begins = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    year, month = divmod(begins.year * 12 + begins.month, 12)
    return Period(begins, begins.replace(year=year, month=month + 1))
