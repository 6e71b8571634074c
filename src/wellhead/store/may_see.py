"""What of the ledger a principal may see, as a condition on a row of `entity`."""

from typing import Any

from wellhead.domain.principals import Principal

MAY_SEE = """(
    %(names)s::text[] IS NULL
    OR e.meta -> 'is_public' = 'true'::jsonb
    OR e.meta -> 'viewers' ?| %(names)s::text[]
    OR (%(sees_unlisted)s
      AND e.meta ->> 'viewers' IS NULL AND e.meta ->> 'is_public' IS NULL)
  )
"""
"""Without a principal everything; the entity's row is `e`."""


def values_of(principal: Principal | None) -> dict[str, Any]:
    """Return the values that the condition takes."""
    if principal is None:
        return {"names": None, "sees_unlisted": False}
    return {"names": list(principal.names), "sees_unlisted": principal.sees_unlisted}
