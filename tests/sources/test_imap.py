"""The mail source on a real mail server: Dovecot, with and without QRESYNC."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any

import pytest
from pydantic import ValidationError
from tests.servers.mail_servers import ASCII_PASSWORD, PASSWORD, MailServer
from tests.sources.conftest import Connect

from wellhead.domain.entities import Entity
from wellhead.domain.errors import (
    ConfigError,
    CredentialsError,
    CursorInvalidError,
    EntityError,
    FailureClass,
    RetryableError,
)
from wellhead.domain.items import (
    Checkpoint,
    Delete,
    Failure,
    Item,
    Ref,
    ScopeEnd,
    Upsert,
)
from wellhead.domain.jobs import JobStatus
from wellhead.sources.conformance import CHECKS
from wellhead.sources.connectors.imap import IMAPSource, mailbox, messages, session
from wellhead.sources.connectors.imap.numbers import read_numbers, written_numbers
from wellhead.sources.connectors.imap.session import Session
from wellhead.sync.convert.mail import read_mail

Make = Callable[..., IMAPSource]


def letter(
    subject: str,
    text: str = "Some content.",
    *,
    html: str | None = None,
    files: dict[str, bytes] | None = None,
    **headers: str,
) -> bytes:
    made = EmailMessage()
    made["Subject"] = subject
    made["From"] = "Ada Lovelace <ada@example.com>"
    made["To"] = "Grace <grace@example.com>, bob@example.com"
    made["Date"] = "Mon, 12 Jan 2026 10:00:00 +0100"
    for name, value in headers.items():
        made[name.replace("_", "-")] = value
    made.set_content(text)
    if html is not None:
        made.add_alternative(html, subtype="html")
    for name, content in (files or {}).items():
        made.add_attachment(
            content, maintype="application", subtype="octet-stream", filename=name
        )
    return made.as_bytes()


@pytest.fixture(params=["dovecot", "poor_dovecot"])
def account(request: pytest.FixtureRequest) -> Iterator[MailServer]:
    """An account with three messages in two folders."""
    server: MailServer = request.getfixturevalue(request.param)
    found = server.account()
    found.create("Work/Plans")
    found.put(letter("First"))
    found.put(letter("Second", files={"plan.txt": b"The plan's content."}))
    found.put(letter("Third"), "Work/Plans")
    yield found
    found.close()


@pytest.fixture
def rich(dovecot: MailServer) -> Iterator[MailServer]:
    """An empty account on a server with all extensions."""
    found = dovecot.account()
    yield found
    found.close()


@pytest.fixture
async def source() -> AsyncIterator[Make]:
    made: list[IMAPSource] = []

    def make(account: MailServer, **config: Any) -> IMAPSource:
        given = {**account.config, **config}
        made.append(IMAPSource.create(given, account.secrets))
        return made[-1]

    yield make
    for one in made:
        await one.close()


async def read(
    one: IMAPSource,
    cursor: dict[str, Any] | None = None,
    items: list[Item] | None = None,
) -> list[Item]:
    items = [] if items is None else items
    async for item in one.read(cursor):
        items.append(item)  # kept when it raises
    return items


def entities(items: list[Item]) -> dict[str, Entity]:
    return {one.entity.name: one.entity for one in items if isinstance(one, Upsert)}


def deleted(items: list[Item]) -> list[str]:
    found = [one.ref.source_id for one in items if isinstance(one, Delete)]
    return [one.partition("/")[2].partition("/")[2] or one for one in found]


def cursor_of(items: list[Item]) -> dict[str, Any]:
    last = items[-1]
    assert isinstance(last, Checkpoint)
    return last.token


async def opened(entity: Entity) -> bytes:
    assert entity.blob is not None
    path = await asyncio.to_thread(entity.blob.open)
    return path.read_bytes()


async def text_of(entity: Entity) -> str:
    return read_mail(await opened(entity), lambda data, _: data.decode())


@pytest.mark.parametrize("check", CHECKS)
async def test_the_mail_source_conforms(
    account: MailServer, source: Make, check: str
) -> None:
    assert await CHECKS[check](lambda: source(account)) == []


async def test_messages_come_and_go_between_jobs(
    account: MailServer, connect: Connect
) -> None:
    bench = await connect("imap", account.config, account.secrets)
    first = await bench.sync()
    assert first.status is JobStatus.COMPLETED, first.error
    assert (first.counts.inserted, first.counts.failed) == (4, 0)

    second = await bench.sync()
    assert second.status is JobStatus.COMPLETED, second.error
    counts = second.counts
    assert (counts.inserted, counts.updated, counts.deleted) == (0, 0, 0)

    account.put(letter("Fourth", "New content."))
    account.remove(2)  # with its attachment
    account.mark(1, how="+FLAGS (\\Seen \\Flagged)")
    third = await bench.sync()
    assert third.status is JobStatus.COMPLETED, third.error
    counts = third.counts
    assert (counts.inserted, counts.updated, counts.deleted) == (1, 0, 2)

    account.drop("Work/Plans")
    fourth = await bench.sync()
    assert fourth.status is JobStatus.COMPLETED, fourth.error
    assert fourth.counts.deleted == 1
    names = {hit.name for hit in await bench.search("content")}
    assert names == {"First", "Fourth"}

    # a full job finds the same
    fifth = await bench.sync(force_full=True)
    assert fifth.status is JobStatus.COMPLETED, fifth.error
    counts = fifth.counts
    assert (counts.inserted, counts.updated, counts.deleted) == (0, 0, 0)


async def test_a_message_marked_as_deleted_is_gone_and_may_come_back(
    account: MailServer, source: Make
) -> None:
    first = await read(source(account))
    account.mark(2)
    second = await read(source(account), cursor_of(first))
    assert sorted(deleted(second)) == ["2", "2/2"]

    account.mark(2, how="-FLAGS (\\Deleted)")
    third = await read(source(account), cursor_of(second))
    assert set(entities(third)) == {"Second", "plan.txt"}
    assert deleted(third) == []


async def test_a_folder_that_was_made_anew_holds_other_messages(
    account: MailServer, source: Make
) -> None:
    cursor = cursor_of(await read(source(account)))
    account.drop("Work/Plans")
    await asyncio.sleep(1.1)  # the server makes a UIDVALIDITY of the second
    account.create("Work/Plans")
    account.put(letter("Other"), "Work/Plans")
    items = await read(source(account), cursor)

    [gone] = [item.ref for item in items if isinstance(item, Delete)]
    assert gone.source_id.startswith("Work/Plans/")
    assert set(entities(items)) == {"Other"}


async def test_a_folder_that_cannot_be_opened_is_a_gap(
    account: MailServer, source: Make
) -> None:
    cursor = cursor_of(await read(source(account)))
    closed = account.folder / "mail" / account.user / ".Work.Plans"
    account.close()  # it has the folder open
    closed.chmod(0)
    try:
        full = await read(source(account))
        later = await read(source(account), cursor)
        [ref] = [Ref("Message", f"Work/Plans/{cursor['folders']['Work/Plans'][0]}/1")]
        [fetched] = [item async for item in source(account).fetch([ref])]
    finally:
        closed.chmod(0o700)

    assert set(entities(full)) == {"First", "Second", "plan.txt"}
    for items in (full, later):
        [gap] = [item for item in items if isinstance(item, Failure)]
        assert gap.ref is None
        assert gap.reason.startswith("The folder 'Work/Plans' cannot be read: ")
        assert ScopeEnd("Work%2FPlans", complete=False) in items
        assert deleted(items) == []
    assert isinstance(fetched, Failure)
    assert set(entities(await read(source(account), cursor_of(later)))) == set()


async def test_vanished_messages_are_told_by_the_server_and_not_searched_for(
    rich: MailServer, source: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        rich.put(letter(f"Number {number}"))
    cursor = cursor_of(await read(source(rich)))
    searched: list[str] = []
    numbers = Session.numbers

    def counted(self: Session, name: str, since: Any) -> set[int]:
        searched.append(name)
        return numbers(self, name, since)

    monkeypatch.setattr(Session, "numbers", counted)
    for uid in (3, 10, 11, 12):
        rich.remove(uid)
    rich.put(letter("Number 20"))
    items = await read(source(rich), cursor)

    assert deleted(items) == ["3", "10", "11", "12"]
    assert set(entities(items)) == {"Number 20"}
    assert searched == []
    assert cursor_of(items)["folders"]["INBOX"][2] == "1:2,4:9,13:21"


async def test_a_message_says_who_wrote_what_when_and_in_which_conversation(
    rich: MailServer, source: Make
) -> None:
    rich.put(letter("Käse & Brot 🧀", message_id="<one@example.com>"))
    rich.put(
        letter(
            "Re: AW: Käse & Brot 🧀",
            message_id="<three@example.com>",
            references="<one@example.com> <two@example.com>",
            cc="carl@example.com",
        )
    )
    found = entities(await read(source(rich)))

    first, answer = found["Käse & Brot 🧀"], found["Re: AW: Käse & Brot 🧀"]
    assert str(first.created_at) == "2026-01-12 10:00:00+01:00"
    assert first.raw["from"] == ["ada@example.com"]
    assert first.raw["to"] == ["grace@example.com", "bob@example.com"]
    assert answer.raw["cc"] == ["carl@example.com"]
    assert first.raw["thread_id"] == answer.raw["thread_id"] == "<one@example.com>"
    assert [step.name for step in answer.breadcrumbs] == [
        rich.user,
        "INBOX",
        "Käse & Brot 🧀",
    ]
    text = await text_of(first)
    assert "Subject: Käse & Brot 🧀" in text
    assert "From: Ada Lovelace <ada@example.com>" in text
    assert "Some content." in text


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (
            b"Subject: =?koi8-r?B?8NLJ18XU?=\r\nContent-Type: text/plain;"
            b" charset=koi8-r\r\nContent-Transfer-Encoding: base64\r\n\r\n"
            + base64.b64encode("Привет, мир".encode("koi8-r")),
            "Привет, мир",
        ),
        (
            b"Subject: x\r\nContent-Type: text/plain; charset=iso-8859-15\r\n"
            b"Content-Transfer-Encoding: quoted-printable\r\n\r\n5 =A4 f=\r\n=FCr",
            "5 € für",
        ),
        (b"Subject: x\r\n\r\nGr\xfc\xdfe", "Grüße"),
        (
            b"Subject: x\r\nContent-Type: text/plain; charset=no-such\r\n\r\nhello",
            "hello",
        ),
        (b"Subject: x\r\n\r\n", "Subject: x"),
        (
            b"Subject: x\r\nContent-Type: text/html\r\n\r\n<p>only markup</p>",
            "only markup",
        ),
        (
            b"Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed;"
            b' boundary="b"\r\n\r\nno part, and no end',
            "Subject: x",
        ),
        (b"no header at all", ""),
    ],
)
async def test_texts_are_read_as_they_were_meant(
    rich: MailServer, source: Make, raw: bytes, told: str
) -> None:
    rich.put(raw)
    items = await read(source(rich))

    assert [item for item in items if isinstance(item, Failure)] == []
    [entity] = entities(items).values()
    assert told in await text_of(entity)


async def test_of_two_versions_of_a_body_the_plain_one_is_read(
    rich: MailServer, source: Make
) -> None:
    rich.put(letter("Both", "The plain content.", html="<p>The <b>bold</b> one</p>"))
    rich.put(letter("Bold", " ", html="<p>The <b>bold</b> one</p>"))
    found = entities(await read(source(rich)))

    assert "The plain content." in await text_of(found["Both"])
    assert "bold" not in await text_of(found["Both"])
    assert "<b>bold</b>" in await text_of(found["Bold"])  # for the parser of pages


async def test_attachments_are_files_of_their_own(
    rich: MailServer, source: Make
) -> None:
    inner = letter("Inner", "The forwarded content.", files={"deep.txt": b"Deep."})
    made = EmailMessage()
    made["Subject"] = "Many"
    made.set_content("See below.")
    made.add_attachment(
        b"%PDF", maintype="application", subtype="pdf", filename="a.pdf"
    )
    made.add_attachment(
        "Grüße".encode(), maintype="text", subtype="plain", filename="ümläut ü.txt"
    )
    made.add_attachment(b"\x89PNG", maintype="image", subtype="png", filename="p.png")
    made.add_attachment("a,b\n1,2\n", subtype="csv", filename="../../etc/t.csv")
    raw = made.as_bytes().replace(b'filename="a.pdf"', b"filename*0=a; filename*1=.pdf")
    rich.put(raw)
    outer = EmailMessage()
    outer["Subject"] = "Fwd"
    outer.set_content("As you asked.")
    outer.add_attachment(
        inner, maintype="application", subtype="octet-stream", filename="inner.eml"
    )
    rich.put(outer.as_bytes())
    found = entities(await read(source(rich)))

    assert set(found) == {
        "Many",
        "a.pdf",
        "ümläut ü.txt",
        ".._.._etc_t.csv",
        "Fwd",
        "inner.eml",
    }
    assert await opened(found["a.pdf"]) == b"%PDF"
    assert (await opened(found["ümläut ü.txt"])).decode() == "Grüße"
    assert (await opened(found[".._.._etc_t.csv"])).split() == [b"a,b", b"1,2"]
    assert "forwarded content" in await text_of(found["inner.eml"])
    assert found["a.pdf"].type == "Attachment"
    assert [step.name for step in found["a.pdf"].breadcrumbs[-2:]] == ["Many", "Many"]
    # the message itself holds none of them
    assert "a.pdf" not in await text_of(found["Many"])
    assert "See below." in await text_of(found["Many"])

    without = entities(await read(source(rich, read_attachments=False)))
    assert set(without) == {"Many", "Fwd"}


async def test_a_forwarded_message_is_an_attachment(
    rich: MailServer, source: Make
) -> None:
    inner = letter("Inner", "The forwarded content.")
    raw = (
        b"Subject: Fwd\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed;"
        b' boundary="x"\r\n\r\n--x\r\n\r\nAs you asked.\r\n--x\r\n'
        b"Content-Type: message/rfc822\r\n\r\n" + inner + b"\r\n--x--\r\n"
    )
    rich.put(raw)
    found = entities(await read(source(rich)))

    assert set(found) == {"Fwd", "forwarded.eml"}
    assert "The forwarded content." in await text_of(found["forwarded.eml"])


async def test_what_is_too_large_fails_alone_and_is_not_fetched(
    rich: MailServer, source: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = {"large.txt": b"x" * (2 * 2**20), "small.txt": b"x"}
    rich.put(letter("With", files=large))
    items = await read(source(rich, max_attachment_mb=1))

    assert set(entities(items)) == {"With", "small.txt"}
    [failure] = [item for item in items if isinstance(item, Failure)]
    assert failure.failure_class is FailureClass.PERMANENT
    assert failure.ref is not None
    assert failure.ref.type == "Attachment"

    # a text of such a size is no letter, but its attachments are still read
    monkeypatch.setattr(messages, "MOST_BODY_MB", 1)
    rich.put(letter("Long", "word " * 300_000, files={"with.txt": b"x"}))
    items = await read(source(rich))
    assert {"with.txt"} < set(entities(items))
    [failure] = [item for item in items if isinstance(item, Failure)]
    assert failure.ref is not None
    assert failure.ref.type == "Message"


async def test_folders_are_chosen_by_name_and_by_what_they_are_for(
    rich: MailServer, source: Make
) -> None:
    for name in ("Work", "Work/Plans", "Workshop", "B&-B 100%"):
        rich.create(name)
        rich.put(letter(f"In {name}"), name)
    rich.put(letter("In Trash"), "Trash")
    everything = set(entities(await read(source(rich))))
    assert everything == {"In Work", "In Work/Plans", "In Workshop", "In B&-B 100%"}

    chosen = await read(source(rich, folders=["Work"]))
    assert set(entities(chosen)) == {"In Work", "In Work/Plans"}
    rest = await read(source(rich, exclude_folders=["Work"], include_hidden=True))
    assert set(entities(rest)) == {"In Workshop", "In B&-B 100%", "In Trash"}
    with pytest.raises(ConfigError, match=r"no folder 'Wrok', but .*'INBOX'"):
        await source(rich, folders=["Wrok"]).check()


async def test_folder_names_may_have_any_letters(
    rich: MailServer, source: Make
) -> None:
    rich.create("Entw&APw-rfe &ZeVnLIqe-")  # as the protocol spells it
    rich.put(letter("Inside"), "Entw&APw-rfe &ZeVnLIqe-")
    [entity] = entities(await read(source(rich, folders=["Entwürfe 日本語"]))).values()

    assert entity.raw["folder"] == "Entwürfe 日本語"
    assert "Some content." in await text_of(entity)
    ref = Ref("Message", entity.source_id)
    [again] = [item async for item in source(rich).fetch([ref])]
    assert isinstance(again, Upsert)


async def test_only_messages_since_a_day_are_read(
    rich: MailServer, source: Make
) -> None:
    rich.put(letter("Old"), days_ago=40)
    rich.put(letter("New"))
    since = {"since": (datetime.now(UTC) - timedelta(days=20)).date()}  # noqa: TID251
    first = await read(source(rich, **since))
    assert set(entities(first)) == {"New"}
    rich.put(letter("Old, too"), days_ago=60)
    rich.put(letter("Newer"))
    second = await read(source(rich, **since), cursor_of(first))
    assert set(entities(second)) == {"Newer"}


async def test_a_listing_goes_on_from_each_checkpoint(
    account: MailServer, source: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailbox, "BATCH", 2)
    for number in range(7):
        account.put(letter(f"Number {number}"))
    items = await read(source(account))
    everything = set(entities(items))
    assert len(everything) == 11
    places = [at for at, one in enumerate(items) if isinstance(one, Checkpoint)]
    assert len(places) > 4
    for place in places[:-1]:
        token = items[place]
        assert isinstance(token, Checkpoint)
        rest = await read(source(account), token.token)
        assert {*entities(items[:place]), *entities(rest)} == everything
        assert rest[-2] == ScopeEnd(complete=True)
        assert cursor_of(rest) == cursor_of(items)


async def test_a_message_that_vanished_fails_alone(
    rich: MailServer, source: Make
) -> None:
    rich.put(letter("Gone soon"))
    [entity] = entities(await read(source(rich))).values()
    rich.remove(1)

    with pytest.raises(EntityError, match="no longer there") as told:
        await opened(entity)
    assert told.value.failure_class is FailureClass.TRANSIENT


async def test_a_line_that_is_cut_deletes_nothing(
    account: MailServer, source: Make
) -> None:
    cursor = cursor_of(await read(source(account)))
    account.put(letter("More"))
    items: list[Item] = []
    account.line.cut_after(1_200)
    try:
        with pytest.raises(RetryableError, match="cannot be reached"):
            await read(source(account), cursor, items)
    finally:
        account.line.mend()
    assert not any(isinstance(item, Delete) for item in items)
    assert not any(isinstance(item, ScopeEnd) and item.complete for item in items)

    account.line.cut_after(0)
    try:
        with pytest.raises(RetryableError, match="cannot be reached"):
            await source(account).check()
    finally:
        account.line.mend()
    assert "More" in entities(await read(source(account), cursor))


async def test_a_connection_that_the_server_has_ended_is_made_again(
    account: MailServer, source: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "IDLE_SECONDS", 0.0)
    one = source(account)
    found = entities(await read(one))
    await opened(found["First"])
    account.line.cut_after(0)
    await asyncio.to_thread(account.line._hang_up)
    account.line.mend()

    assert "First" in entities(await read(one))
    assert b"Some content." in await opened(found["Third"])


async def test_refused_credentials_are_told_without_a_secret(
    account: MailServer,
) -> None:
    wrong = IMAPSource.create(
        account.config, {"username": account.user, "password": "wrong-s3cret"}
    )
    with pytest.raises(CredentialsError, match="refused the credentials") as told:
        await wrong.check()
    await wrong.close()

    shown = f"{told.value!r} {told.value.__cause__!r} {told.value.__context__!r}"
    assert "wrong-s3cret" not in f"{told.value} {shown.partition('IMAP4')[0]}"
    assert told.value.__cause__ is None


async def test_a_server_with_the_oldest_way_to_sign_in_is_signed_in_to(
    rich: MailServer, source: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "_can", lambda client, what: False)
    plain = {"username": rich.user, "password": ASCII_PASSWORD}
    one = IMAPSource.create(rich.config, plain)
    await one.check()
    await one.close()
    with pytest.raises(CredentialsError, match="takes ASCII passwords only"):
        await source(rich).check()


async def test_a_certificate_has_to_be_trusted(
    rich: MailServer, source: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="certificate that is not trusted"):
        await source(rich, security="starttls").check()

    rich.put(letter("Sealed"))
    monkeypatch.setenv("SSL_CERT_FILE", str(rich.folder / "cert.pem"))
    found = entities(await read(source(rich, security="starttls")))
    assert "Some content." in await text_of(found["Sealed"])


async def test_what_is_no_mail_server_is_said(source: Make, rich: MailServer) -> None:
    with pytest.raises(RetryableError, match="cannot be reached"):
        await source(rich, security="tls").check()
    with pytest.raises(RetryableError, match="cannot be reached"):
        await source(rich, host="no-such-host.invalid").check()


async def test_other_choices_begin_anew(account: MailServer, source: Make) -> None:
    cursor = cursor_of(await read(source(account)))

    with pytest.raises(CursorInvalidError):
        await read(source(account, folders=["INBOX"]), cursor)


async def test_messages_are_not_marked_as_read(
    account: MailServer, source: Make
) -> None:
    for entity in entities(await read(source(account))).values():
        await opened(entity)
    account.client.select("INBOX")

    assert account.client.uid("SEARCH", "UNSEEN") == ("OK", [b"1 2"])


@pytest.mark.soak
async def test_many_messages_need_little_memory_for_a_cursor(
    rich: MailServer, source: Make
) -> None:
    for number in range(450):
        rich.put(f"Subject: {number}\r\n\r\nx".encode())
    items = await read(source(rich))

    assert len(entities(items)) == 450
    assert cursor_of(items)["folders"]["INBOX"][2] == "1:450"


@pytest.mark.parametrize(
    ("numbers", "text"),
    [(set(), ""), ({1}, "1"), ({1, 2, 3, 7, 9, 10}, "1:3,7,9:10")],
)
def test_sets_of_numbers_are_written_short(numbers: set[int], text: str) -> None:
    assert written_numbers(numbers) == text
    assert read_numbers(text) == numbers


def test_a_set_without_bounds_is_refused() -> None:
    assert read_numbers("5:3") == {3, 4, 5}
    for text in ("1:99999999999", "1:*", "x"):
        with pytest.raises(ValueError, match=r"too many|invalid literal"):
            read_numbers(text)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"host": ""}, "at least 1 character"),
        ({"host": "h", "security": "ssl"}, "'tls', 'starttls' or 'none'"),
        ({"host": "h", "since": "yesterday"}, "date"),
    ],
)
def test_a_config_is_refused_with_a_reason(config: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        IMAPSource.create(config, {"username": "ada", "password": PASSWORD})
