"""Entities that are described only if they are new or changed."""

from collections.abc import AsyncIterator
from functools import partial

from wellhead.domain.entities import Entity
from wellhead.domain.items import Item, Listed, Upsert
from wellhead.sync import intake
from wellhead.sync.intake import Intake


def described(ident: str) -> Entity:
    return Entity(type="Thing", source_id=ident, name=ident, source_version="1")


def listed(ident: str, weight: int = 0) -> Listed:
    return Listed("Thing", ident, "1", partial(described, ident), weight=weight)


def test_it_has_the_key_and_the_version_of_what_it_describes() -> None:
    one, whole = listed("a"), Upsert(described("a"))

    assert (one.key, one.version) == (whole.key, whole.version)
    assert one.entity == whole.entity


async def test_what_it_holds_for_its_description_bounds_a_page() -> None:
    async def items() -> AsyncIterator[Item]:
        for number in range(6):
            yield listed(str(number), intake.PAGE_CHARACTERS // 2)

    pages = [page async for page in Intake(items()).pages()]

    assert [len(page.items) for page in pages if page.items] == [2, 2, 2]
