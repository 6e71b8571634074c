"""A console session: who a browser speaks for, and for how long."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Membership:
    """An API key that a person showed; it speaks for one organization."""

    key_id: UUID
    organization_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleSession:
    """What the sealed cookie of a browser says; the keys themselves are not in it."""

    id: UUID
    form_token: str
    """What each form has to repeat: only pages of this session know it."""
    opened_at: datetime
    expires_at: datetime
    memberships: tuple[Membership, ...] = ()
    """One for each organization, the chosen one first; none before signing in."""

    @property
    def chosen(self) -> Membership | None:
        return self.memberships[0] if self.memberships else None

    def chosen_first(self, organization_id: UUID) -> tuple[Membership, ...]:
        """Return the memberships with that of this organization first, if any."""
        return tuple(
            sorted(
                self.memberships, key=lambda one: one.organization_id != organization_id
            )
        )
