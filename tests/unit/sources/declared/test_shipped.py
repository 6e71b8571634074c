"""What the shipped definitions make of their vendors' records."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.vendors.airtable import Airtable
from tests.vendors.books import Books
from tests.vendors.hubspot import HubSpot
from tests.vendors.linear import Linear
from tests.vendors.stripe import Stripe
from tests.vendors.zendesk import Zendesk

from wellhead.domain.entities import Entity
from wellhead.domain.items import Checkpoint, Delete, Ref, Upsert
from wellhead.sources.declared import shipped
from wellhead.sources.oauth.table import provider_of
from wellhead.sources.surroundings import Surroundings
from wellhead.sources.testing.reading import Outcome, read

FILES = sorted(Path(shipped.__file__).parent.glob("*.yaml"))


def around(vendor: Books) -> Surroundings:
    return Surroundings(transport=httpx.MockTransport(vendor.answer))


async def outcome(vendor: Books, cursor: dict[str, Any] | None = None) -> Outcome:
    source = vendor.connect(around(vendor))
    try:
        return await read(source, cursor)
    finally:
        await source.close()


async def entity(vendor: Books, kind: str, number: int = 13) -> Entity:
    vendor.add(number)
    found = await outcome(vendor)
    return next(one for one in found.entities.values() if one.type == kind)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_shipped_definition_is_short(file: Path) -> None:
    assert 40 <= len(file.read_text("utf-8").splitlines()) <= 120


def test_whoever_offers_oauth_is_known() -> None:
    offering = [one for one in shipped.shipped() if len(one.info.auth_methods) > 1]

    assert len(offering) == 3
    assert all(provider_of(one.info) for one in offering)


@pytest.mark.parametrize(
    ("vendor", "kind", "text"),
    [
        (
            Stripe,
            "StripeCustomerEntity",
            "# Customer Ada cus_00013\nEmail: cus_00013@example.com\n"
            "Since 2026-01-01\nsays 13",
        ),
        (
            Stripe,
            "StripeInvoiceEntity",
            "# Invoice A-in_00002, open\nTotal: 49.99 USD\nDue: 49.99 USD\n"
            "For: Pro, a month\nsays 2",
        ),
        (
            Stripe,
            "StripeChargeEntity",
            "# Charge of 1000 JPY, succeeded\nCustomer: Ada\nOn 2026-01-01\nsays 3",
        ),
        (
            HubSpot,
            "HubspotContactEntity",
            "# Ada 1004\nsays 4\n1004@example.com",
        ),
        (
            Linear,
            "LinearIssueEntity",
            "# ACM-00005 Issue issues-00005\nState: Todo,\nLabels: bug\nsays 5",
        ),
        (
            Linear,
            "LinearCommentEntity",
            "Ada on ACM-1 It breaks:\nsays 1",
        ),
        (
            Airtable,
            "AirtableRecordEntity",
            "Name: Task rec00003\nNotes: says 3\nFiles: plan.png",
        ),
        (Airtable, "AirtableTableEntity", "# Table Tasks of Main\nFields: Name"),
    ],
)
async def test_a_text_is_what_people_would_read(
    vendor: type[Books], kind: str, text: str
) -> None:
    found = await entity(vendor(), kind)
    lines = [line.rstrip() for line in (found.text or "").splitlines()]

    assert "\n".join(lines) == text


async def test_a_ticket_of_zendesk_holds_its_comments() -> None:
    vendor = Zendesk()
    vendor.add(5)
    source = vendor.connect(around(vendor))
    found = [item async for item in source.read(None) if isinstance(item, Upsert)]
    blob = found[0].entity.blob
    assert blob is not None
    text = (await asyncio.to_thread(blob.open)).read_text()
    await source.close()

    assert text == (
        "# Ticket 1003\nTicket 1003, open\nPriority: high\nTags: printer\n\n"
        "## Comment of 2026-01-01, public: yes\nsays 3\n"
    )


async def test_what_an_export_of_zendesk_leaves_out_is_not_deleted() -> None:
    vendor = Zendesk()
    vendor.add(5)
    before = await outcome(vendor)
    ticket = vendor.living("tickets")[0]
    ticket.changed = vendor.later()  # within the last minute
    after = await outcome(vendor)

    assert vendor.ref(ticket).key in before.seen
    assert vendor.ref(ticket).key not in after.seen
    assert after.is_whole
    assert after.lost(before) == []


async def test_a_deleted_ticket_of_zendesk_goes_also_in_a_full_listing() -> None:
    vendor = Zendesk()
    vendor.add(5)
    removed = vendor.remove()

    assert (await outcome(vendor)).deleted == {removed.key: removed}


async def test_breadcrumbs_lead_to_a_record_of_airtable() -> None:
    found = await entity(Airtable(), "AirtableRecordEntity")

    assert [
        (one.entity_type, one.entity_id, one.name) for one in found.breadcrumbs
    ] == [
        ("AirtableBaseEntity", "appMain", "Main"),
        ("AirtableTableEntity", "appMain/tblTasks", "Tasks"),
    ]
    assert found.source_id == "appMain/tblTasks/rec00003"
    assert found.url == "https://airtable.com/appMain/tblTasks/rec00003"


async def test_a_reading_of_airtable_goes_on_in_the_table_where_it_was() -> None:
    vendor = Airtable()
    vendor.add(250)
    source = vendor.connect(around(vendor))
    tokens = [i.token async for i in source.read(None) if isinstance(i, Checkpoint)]
    inside = next(one for one in tokens if len(one["trail"]) == 3)
    vendor.requests.clear()
    rest = await outcome(vendor, inside)
    await source.close()

    asked = [str(one.url.copy_with(scheme="https")) for one in vendor.requests]
    assert sum("offset=itr100" in one for one in asked) == 1
    assert not any(one.endswith("tblTasks?pageSize=100") for one in asked)
    assert rest.is_whole


async def test_an_api_key_of_linear_is_sent_plain_and_a_token_with_bearer() -> None:
    sent = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.headers["authorization"])
        return httpx.Response(200, json={"data": {"viewer": {"id": "me"}}})

    for token in ("lin_api_abcdefgh", "oauth-token"):
        surroundings = Surroundings(transport=httpx.MockTransport(answer))
        source = Linear.source.create({}, {"access_token": token}, surroundings)
        await source.check()
        await source.close()

    assert sent == ["lin_api_abcdefgh", "Bearer oauth-token"]


async def test_a_closed_ticket_goes_if_the_owner_wants_that() -> None:
    vendor = Zendesk()
    vendor.add(5)
    config = {"subdomain": "acme", "exclude_closed_tickets": True}

    def answer(request: httpx.Request) -> httpx.Response:
        found = vendor.answer(request)
        text = found.text.replace('"open"', '"closed"')
        return httpx.Response(found.status_code, headers=found.headers, text=text)

    surroundings = Surroundings(transport=httpx.MockTransport(answer))
    source = Zendesk.source.create(config, dict(vendor.credentials), surroundings)
    items = [item async for item in source.read(None)]
    await source.close()

    gone = {item.ref for item in items if isinstance(item, Delete)}
    assert gone == {vendor.ref(one) for one in vendor.living("tickets")}
    assert Ref("ZendeskTicketEntity", "1003") in gone
