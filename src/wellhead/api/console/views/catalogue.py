"""The catalogue of sources: what can be connected, with search and labels."""

from starlette.responses import Response

from wellhead.api.console.visits import Visit
from wellhead.services.catalogue import SourceDescription, list_sources


async def list_all(visit: Visit) -> Response:
    known = list_sources(visit.parts)
    containing, label = visit.asked("search"), visit.asked("label")
    labels = sorted({label for one in known for label in one.labels})
    return visit.page(
        "sources.html",
        section="sources",
        sources=[one for one in known if _is_meant(one, containing, label)],
        total=len(known),
        labels=labels,
        search=containing,
        label=label,
        collection=visit.asked("collection"),
    )


def _is_meant(one: SourceDescription, containing: str, label: str) -> bool:
    said = " ".join((one.name, one.short_name, one.description, *one.labels))
    has_label = not label or label in one.labels
    return has_label and containing.casefold() in said.casefold()
