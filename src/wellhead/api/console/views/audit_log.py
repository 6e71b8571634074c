"""The audit log: who changed what, newest first."""

from starlette.responses import Response

from wellhead.api.console.forms import whole_number
from wellhead.api.console.visits import Visit
from wellhead.domain.audit import Action
from wellhead.services import audit_log

PAGE = 100
_MOST = 2**62


async def list_all(visit: Visit) -> Response:
    wanted, before = visit.asked("action"), visit.asked("before")
    actions = sorted(one.value for one in Action)
    found = await audit_log.list_entries(
        visit.parts,
        visit.tenant,
        limit=PAGE + 1,
        before=whole_number(before, most=_MOST),
        action=Action(wanted) if wanted in actions else None,
    )
    return visit.page(
        "audit.html",
        section="audit",
        entries=found[:PAGE],
        actions=actions,
        wanted=wanted,
        is_first=not before,
        next_before=found[PAGE - 1].id if len(found) > PAGE else None,
    )
