"""What searches are made with, taken from the parts."""

from wellhead.search.everywhere import Ground
from wellhead.search.federation import Federation
from wellhead.services.parts import Parts


def ground_of(parts: Parts) -> Ground:
    return Ground(
        reads=parts.reads,
        index=parts.index,
        embedders=parts.embedders,
        federation=federation_of(parts),
    )


def federation_of(parts: Parts) -> Federation:
    return Federation(parts.sources, parts.cipher, parts.live)
