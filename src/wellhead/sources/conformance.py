"""What every source must keep to, as checks that any package can run on its own.

    @pytest.mark.parametrize("check", CHECKS)
    async def test_tracker_conforms(check: str) -> None:
        assert await CHECKS[check](lambda: TrackerSource.create(config, {})) == []

Each check gets a way to make the source anew, pointed at something with a few
entities that stand still, and returns what is wrong, as sentences.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Any

from pydantic import ValidationError

from wellhead.domain.entities import Entity
from wellhead.domain.errors import CursorInvalidError
from wellhead.domain.items import (
    ROOT_SCOPE,
    Checkpoint,
    Delete,
    Failure,
    Item,
    Listed,
    Ref,
    ScopeEnd,
    ScopeStart,
    Seen,
    Shown,
    Upsert,
    parent_scope,
)
from wellhead.sources.base import Config, FederatedSource, Source
from wellhead.sources.fields import fields_of

Make = Callable[[], Source]
Check = Callable[[Make], Awaitable[list[str]]]


async def describes_itself(make: Make) -> list[str]:
    """The catalogue can show it, and forms can ask for all it needs."""
    source = make()
    info = source.info
    wrong = []
    if not re.fullmatch(r"[a-z][a-z0-9_]*", info.short_name):
        wrong.append(f"the short name {info.short_name!r} is not in snake_case")
    if not info.name or not info.description or not info.entity_types:
        wrong.append("info lacks a name, a description or entity types")
    for model in (source.config_model, source.credentials_model):
        for name, part in model.model_fields.items():
            if not part.title or not part.description:
                wrong.append(f"{model.__name__}.{name} lacks a title or description")
    if info.is_incremental and not info.yields_deletes and source.ids() is None:
        wrong.append("incremental, no deletes and no ids: nothing tells what is gone")
    return wrong


async def refuses_unknown_fields(make: Make) -> list[str]:
    """A mistyped name is an error, not silence."""
    source = make()
    return [
        f"{type(values).__name__} takes a field it does not know"
        for values in (source.config, source.credentials)
        if not _refuses(values, {"no_such_field": 1})
    ]


async def keeps_secrets(make: Make) -> list[str]:
    """No secret shows when the source, its models or their errors are printed."""
    source = make()
    values = source.credentials
    secrets = [
        str(getattr(values, field.name))
        for field in fields_of(source.credentials_model)
        if field.is_secret and getattr(values, field.name)
    ]
    shown = f"{source!r} {source} {values!r} {values} {source.config!r}"
    try:
        type(values).model_validate({**values.model_dump(), "no_such_field": secrets})
    except ValidationError as error:
        shown = f"{shown} {error}"
    return [f"a secret shows in {shown!r}" for one in secrets if one in shown]


async def passes_its_check(make: Make) -> list[str]:
    """What can be read passes the check."""
    source = make()
    try:
        await source.check()
    finally:
        await source.close()
    return []


async def opens_and_ends_scopes(make: Make) -> list[str]:
    """Scopes nest, everything is in one, and a full read completes the root."""
    items = await _read(make)
    ends = [item for item in items if item == ScopeEnd(ROOT_SCOPE)]
    wrong = _misplaced(items)
    return wrong if ends else [*wrong, "a full read does not complete the root scope"]


async def yields_the_same_twice(make: Make) -> list[str]:
    """Two reads of the same thing tell the same, each key once."""
    first, second = _entities(await _read(make)), _entities(await _read(make))
    keys = [entity.key for entity in first]
    wrong = [] if keys else ["nothing was read: point it at a few entities"]
    if len(set(keys)) != len(keys):
        wrong.append("a key is yielded twice")
    if set(keys) != {entity.key for entity in second}:
        wrong.append("a second read yields other keys")
    versions = {entity.key: entity.source_version for entity in first}
    if any(versions.get(one.key) != one.source_version for one in second):
        wrong.append("a second read tells another version of an unchanged entity")
    return wrong


async def yields_good_entities(make: Make) -> list[str]:
    """Entities have a name, content, JSON, aware times, and files of their size."""
    source = make()
    wrong: list[str] = []
    try:
        async for item in source.read(None):
            if isinstance(item, Shown):
                entity = item.entity
                wrong += [
                    f"{entity.source_id}: {one}" for one in _flaws(source, entity)
                ]
                wrong += await asyncio.to_thread(_file_flaws, entity)
    finally:
        await source.close()
    return wrong


async def goes_on_from_checkpoints(make: Make) -> list[str]:
    """After a crash at any checkpoint, the rest of the listing is read."""
    items = await _read(make)
    keys = {entity.key for entity in _entities(items)}
    wrong = []
    for place, item in enumerate(items):
        if not isinstance(item, Checkpoint) or ScopeEnd(ROOT_SCOPE) in items[:place]:
            continue
        rest = await _read(make, json.loads(json.dumps(item.token)))
        covered = {entity.key for entity in _entities([*items[:place], *rest])}
        if covered != keys:
            wrong.append(f"{len(keys - covered)} are lost from {item.token}")
        if ScopeEnd(ROOT_SCOPE) not in rest:
            wrong.append(f"the listing is not complete from {item.token}")
        wrong += _misplaced(rest)
    return wrong


async def reads_on_from_its_cursor(make: Make) -> list[str]:
    """An incremental source ends with a token that the next run can begin with."""
    if not make().info.is_incremental:
        return []
    items = await _read(make)
    if not isinstance(items[-1], Checkpoint):
        return ["incremental, but the last item is not a checkpoint"]
    try:
        later = await _read(make, json.loads(json.dumps(items[-1].token)))
    except CursorInvalidError:
        return []  # it may ask for a full run
    known = {entity.key for entity in _entities(items)}
    wrong = _misplaced(later)
    if any(isinstance(item, Delete) and item.key in known for item in later):
        wrong.append("it deletes what is still there")
    if any(entity.key not in known for entity in _entities(later)):
        wrong.append("it yields something new though nothing changed")
    return wrong


async def lists_ids(make: Make) -> list[str]:
    """If there is a listing of ids, it names what a full read yields."""
    source = make()
    listing = source.ids()
    if listing is None:
        return []
    seen = await _all(source, listing)
    keys = {entity.key for entity in _entities(await _read(make))}
    wrong = _misplaced(seen)
    if {item.key for item in seen if isinstance(item, Seen | Shown)} != keys:
        wrong.append("ids are not those of a full read")
    return wrong


async def fetches_by_reference(make: Make) -> list[str]:
    """If entities can be fetched, then those that exist, and the others as gone."""
    there = [Ref(one.type, one.source_id) for one in _entities(await _read(make))][:3]
    gone = Ref(there[0].type, f"{there[0].source_id}-no-such")
    source = make()
    fetching = source.fetch([*there, gone])
    if fetching is None:
        return []
    found = await _all(source, fetching)
    wrong = []
    if {item.key for item in found if isinstance(item, Shown)} != {
        ref.key for ref in there
    }:
        wrong.append("fetch does not yield what was asked for")
    if not any(isinstance(one, Delete | Failure) and one.ref == gone for one in found):
        wrong.append("fetch is silent about what does not exist")
    return wrong


async def can_be_left(make: Make) -> list[str]:
    """A read that is left early leaves no task behind; closing twice is fine."""
    before = asyncio.all_tasks()
    source = make()
    reading = source.read(None)
    async for item in reading:
        if isinstance(item, Shown):
            break
    close = getattr(reading, "aclose", None)
    if close is not None:
        await close()
    await source.close()
    await source.close()
    for _ in range(10):  # generators within generators are closed one by one
        await asyncio.sleep(0)
    left = asyncio.all_tasks() - before
    return [f"still running: {task.get_coro()}" for task in left]


CHECKS: dict[str, Check] = {
    check.__name__: check
    for check in (
        describes_itself,
        refuses_unknown_fields,
        keeps_secrets,
        passes_its_check,
        opens_and_ends_scopes,
        yields_the_same_twice,
        yields_good_entities,
        goes_on_from_checkpoints,
        reads_on_from_its_cursor,
        lists_ids,
        fetches_by_reference,
        can_be_left,
    )
}


ODD_QUESTIONS = (
    *("note", "a", "?", "-", '"unclosed', "or", "NOT (x", "%_*:\\'; --", "日本語"),
    *("nul\x00", "lone \ufffd", "no such word anywhere", "long " * 5_000),
)


async def takes_any_text_for_a_question(make: Make) -> list[str]:
    """Whatever people type is answered, perhaps by nothing, with good entities."""
    wrong = []
    for question in ODD_QUESTIONS:
        source, found = await _found(make, question, 10)
        wrong += [flaw for entity in found for flaw in _flaws(source, entity)]
        if len(found) > 10:
            wrong.append(f"{len(found)} results for {question[:20]!r}, not 10")
    return wrong


async def answers_in_one_order(make: Make) -> list[str]:
    """Asked again, or for less, it says the same from the beginning."""
    wrong = []
    for question in ODD_QUESTIONS:
        asked = [await _found(make, question, limit) for limit in (20, 20, 3)]
        first, again, less = ([one.key for one in found] for _, found in asked)
        if again != first:
            wrong.append(f"{question[:20]!r} is answered in another order each time")
        if less != first[:3]:
            wrong.append(f"{question[:20]!r} is answered otherwise with a lower limit")
    return wrong


FEDERATED_CHECKS: dict[str, Check] = {
    check.__name__: check
    for check in (
        describes_itself,
        refuses_unknown_fields,
        keeps_secrets,
        passes_its_check,
        takes_any_text_for_a_question,
        answers_in_one_order,
    )
}
"""For sources that are searched live."""


async def _found(
    make: Make, question: str, limit: int
) -> tuple[Source, Sequence[Entity]]:
    source = make()
    if not isinstance(source, FederatedSource):
        raise TypeError(f"{source.info.short_name} is not searched live")
    try:
        return source, await source.search(question, limit)
    finally:
        await source.close()


async def _read(make: Make, cursor: dict[str, Any] | None = None) -> list[Item]:
    source = make()
    return await _all(source, source.read(cursor))


async def _all(source: Source, items: AsyncIterator[Item]) -> list[Item]:
    try:
        return [item async for item in items]
    finally:
        await source.close()


def _entities(items: Iterable[Item]) -> list[Entity]:
    return [item.entity for item in items if isinstance(item, Shown)]


def _refuses(values: Config, more: dict[str, Any]) -> bool:
    try:
        type(values).model_validate({**values.model_dump(), **more})
    except ValidationError:
        return True
    return False


def _misplaced(items: Iterable[Item]) -> list[str]:
    """Return what breaks the rules of scopes."""
    wrong: list[str] = []
    is_open: list[str] = []
    for item in items:
        match item:
            case ScopeStart(scope):
                if is_open != ([] if scope == ROOT_SCOPE else _above(scope)):
                    wrong.append(f"scope {scope!r} is started within {is_open}")
                is_open.append(scope)
            case ScopeEnd(scope):
                if is_open[-1:] != [scope]:
                    wrong.append(f"scope {scope!r} is ended within {is_open}")
                is_open = is_open[:-1]
            case Upsert() | Listed() | Seen() if not is_open:
                wrong.append(f"{item} is in no scope")
            case _:
                pass
    return [*wrong, f"never ended: {is_open}"] if is_open else wrong


def _above(scope: str) -> list[str]:
    parent = parent_scope(scope)
    return [] if parent is None else [*_above(parent), parent]


def _flaws(source: Source, entity: Entity) -> list[str]:
    moments = (entity.created_at, entity.updated_at)
    rules = {
        f"{entity.type} is no entity type of its source": (
            entity.type in source.info.entity_types
        ),
        "has no name": bool(entity.name.strip()),
        "needs either text or a blob": (entity.text is None) != (entity.blob is None),
        "has a time without a zone": all(one is None or one.tzinfo for one in moments),
        "cannot be stored as UTF-8": _is_storable(entity),
        "has raw fields that are not JSON": _is_json(entity.raw),
    }
    return [flaw for flaw, is_kept in rules.items() if not is_kept]


def _is_storable(entity: Entity) -> bool:
    shown = (entity.source_id, entity.name, entity.text or "", entity.url)
    try:
        "".join(shown).encode()
    except UnicodeEncodeError:
        return False
    return "\x00" not in "".join(shown)


def _is_json(raw: dict[str, Any]) -> bool:
    try:
        text = json.dumps(raw, allow_nan=False, ensure_ascii=False)
        text.encode()
    except (TypeError, ValueError):
        return False
    return bool(json.loads(text) == raw)


def _file_flaws(entity: Entity) -> list[str]:
    if entity.blob is None:
        return []
    size = entity.blob.open().stat().st_size
    if size != entity.blob.size and not entity.blob.is_size_guessed:
        return [f"{entity.source_id}: {size} bytes, but {entity.blob.size} were told"]
    return []
