"""What searches are made with, taken from the parts."""

from functools import partial

from wellhead.search.everywhere import Ground
from wellhead.search.federation import Federation
from wellhead.services.parts import Parts
from wellhead.services.tokens import open_live


def ground_of(parts: Parts) -> Ground:
    return Ground(
        reads=parts.reads,
        index=parts.index,
        embedders=parts.embedders,
        federation=federation_of(parts),
    )


def federation_of(parts: Parts) -> Federation:
    return Federation(partial(open_live, parts), parts.live)
