"""What the catalogue says of a source besides its name and fields."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Tested(StrEnum):
    """On what the tests of a source run: how far it can be relied on."""

    REAL_SERVER = "real server"
    CONTRACT_AND_FAKE = "contract and fake"
    """A stand-in of ours, and requests compared with the vendor's own description."""
    FAKE = "fake"
    """A stand-in of ours, made after the vendor's documents."""
    COMMUNITY = "community"
    """Not tested by Wellhead."""


class DeletesFound(StrEnum):
    """When Wellhead learns that something is gone from a source."""

    EACH_JOB = "each job"
    DAILY = "daily"
    """By comparing ids; jobs in between learn what is new and changed."""
    NEVER = "never"
    """It shows what is new only, and what it showed before is kept."""
    AT_ONCE = "at once"
    """Nothing of it is stored: each search asks the source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptDefinition:
    """A source that people declared, as the ledger keeps it."""

    short_name: str
    definition: str
    """The file's text."""
    digest: str
    """Tells one text from another."""
    created_at: datetime
    modified_at: datetime
