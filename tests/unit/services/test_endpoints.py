"""Calling endpoints: which may be called, and what their answers may do."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.receiver import Received, Receiver, answer, hang, receiving

from wellhead.domain.webhooks import WebhookPolicy
from wellhead.services.endpoints import (
    MOST_RESPONSE_BYTES,
    Caller,
    EndpointError,
    NoAnswerInTimeError,
)

ANYWHERE = WebhookPolicy(allow_private=True)
PUBLIC = WebhookPolicy()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as one:
        yield one


@pytest.fixture
async def caller() -> AsyncIterator[Caller]:
    async with Caller(ANYWHERE) as one:
        yield one


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "127.1", "2130706433", "0x7f.1", "0"]
)
async def test_the_own_machine_is_not_called_by_any_of_its_names(
    receiver: Receiver, host: str
) -> None:
    async with Caller(PUBLIC) as caller:
        with pytest.raises(EndpointError, match="not on the internet") as caught:
            await caller.call("POST", f"http://{host}:{receiver.port}/", within=5)

    assert caught.value.refused
    assert receiver.received == []


async def test_a_name_is_refused_if_one_of_its_addresses_is_private() -> None:
    async def lookup(_host: str, _port: int) -> Sequence[str]:
        return ["8.8.8.8", "10.0.0.1"]

    async with Caller(PUBLIC, lookup=lookup) as caller:
        with pytest.raises(EndpointError, match="not on the internet"):
            await caller.call("POST", "http://example.com/", within=5)


async def test_a_name_is_looked_up_once_so_the_checked_address_is_the_called_one(
    receiver: Receiver,
) -> None:
    asked = []

    async def lookup(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"]

    async with Caller(ANYWHERE, lookup=lookup) as caller:
        url = f"http://hooks.invalid:{receiver.port}/"
        said = await caller.call("POST", url, within=5, content=b"{}")

    assert said.status == 200
    assert asked == ["hooks.invalid"]
    assert receiver.received[0].headers["host"] == f"hooks.invalid:{receiver.port}"


async def test_the_next_address_is_tried_when_nobody_listens_at_the_first(
    receiver: Receiver,
) -> None:
    async def lookup(_host: str, _port: int) -> Sequence[str]:
        return ["127.0.0.2", "127.0.0.1"]

    async with Caller(ANYWHERE, lookup=lookup) as caller:
        url = f"http://hooks.invalid:{receiver.port}/"
        assert (await caller.call("POST", url, within=5)).status == 200


def _certificate(name: str, folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)  # noqa: TID251  # certificates are of their time
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return file


@pytest.mark.parametrize(
    ("name", "is_trusted"), [("hooks.invalid", True), ("other.invalid", False)]
)
async def test_the_certificate_must_be_of_the_name_though_an_address_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, *, is_trusted: bool
) -> None:
    file = _certificate(name, tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    names = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    context.sni_callback = lambda _socket, sni, _context: names.append(sni)
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]

    async def lookup(_host: str, _port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    async with server, Caller(ANYWHERE, lookup=lookup) as caller:
        url = f"https://hooks.invalid:{port}/"
        if is_trusted:
            assert (await caller.call("POST", url, within=5)).status == 200
        else:
            with pytest.raises(EndpointError, match=r"(?i)certificate"):
                await caller.call("POST", url, within=5)

    assert names == ["hooks.invalid"]


async def test_proxies_of_the_environment_are_not_used(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    async with Caller(ANYWHERE) as caller:
        assert (await caller.call("POST", receiver.url, within=5)).status == 200


async def test_a_redirect_is_an_answer_and_is_not_followed(
    receiver: Receiver, caller: Caller
) -> None:
    async def elsewhere(_: Received) -> bytes:
        return answer(307, location=receiver.url)

    receiver.react = elsewhere

    assert (await caller.call("POST", receiver.url, within=5)).status == 307
    assert len(receiver.received) == 1


async def test_cookies_are_not_kept(receiver: Receiver, caller: Caller) -> None:
    async def baking(_: Received) -> bytes:
        return answer(200, **{"set-cookie": "who=you; Path=/"})

    receiver.react = baking
    for _ in range(2):
        await caller.call("POST", receiver.url, within=5)

    assert "cookie" not in receiver.received[1].headers


async def test_only_the_beginning_of_an_endless_answer_is_read(
    receiver: Receiver, caller: Caller
) -> None:
    async def flood(_: Received) -> bytes:
        return b"HTTP/1.1 200 OK\r\n\r\n" + b"\x00\xff" * 4_000_000

    receiver.react = flood
    said = await caller.call("POST", receiver.url, within=10)

    assert said.status == 200
    assert len(said.text) <= MOST_RESPONSE_BYTES
    assert "\x00" not in said.text


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"HTTP/1.1 999999 x\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        b"",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 300_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 50_000 + b"\r\n",
    ],
)
async def test_garbage_is_no_answer(
    receiver: Receiver, caller: Caller, garbage: bytes
) -> None:
    async def send(_: Received) -> bytes:
        return garbage

    receiver.react = send

    with pytest.raises(EndpointError, match="No answer"):
        await caller.call("POST", receiver.url, within=5)


async def test_a_status_counts_though_its_text_never_ends(
    receiver: Receiver, caller: Caller
) -> None:
    async def cut(_: Received) -> bytes:
        return b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"

    receiver.react = cut

    said = await caller.call("POST", receiver.url, within=5)

    assert (said.status, said.text) == (200, "half")


async def test_the_deadline_is_for_the_whole_call(
    receiver: Receiver, caller: Caller
) -> None:
    receiver.react = hang

    with pytest.raises(NoAnswerInTimeError, match=r"within 0\.1 seconds"):
        await caller.call("POST", receiver.url, within=0.1)


async def test_drops_of_headers_do_not_extend_the_deadline(caller: Caller) -> None:
    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(b"HTTP/1.1 200 OK\r\n")
            for _n in range(1000):
                writer.write(b"x: y\r\n")
                await writer.drain()
                await asyncio.sleep(0.01)
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        with pytest.raises(NoAnswerInTimeError):
            await caller.call("POST", f"http://127.0.0.1:{port}/", within=0.3)


@pytest.mark.parametrize(
    "url", ["http://nobody.invalid/", "http://127.0.0.1:1/", "http://..:8000/"]
)
async def test_nobody_there_is_said(caller: Caller, url: str) -> None:
    with pytest.raises(EndpointError) as caught:
        await caller.call("POST", url, within=5)

    assert not caught.value.refused
