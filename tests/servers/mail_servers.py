"""A mail server that a test fills: Dovecot, as it is and without its extensions."""

import getpass
import grp
import imaplib
import os
import pwd
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.servers.line import Line, line_to
from tests.servers.process import free_port, running

PASSWORD = "s3cret-of-ädä"  # noqa: S105  # of a test's user
ASCII_PASSWORD = "s3cret-of-ada"  # noqa: S105  # as above
SETTINGS = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = /dev/stderr
protocols = imap
ssl = yes
ssl_cert = <{folder}/cert.pem
ssl_key = <{folder}/key.pem
disable_plaintext_auth = no
auth_mechanisms = plain
default_login_user = {user}
default_internal_user = {user}
default_internal_group = {group}
first_valid_uid = {uid}
last_valid_uid = {uid}
mail_location = maildir:{folder}/mail/%u
mail_max_userip_connections = 0
{more}
namespace inbox {{
  inbox = yes
  separator = /
  mailbox Trash {{
    auto = create
    special_use = \\Trash
  }}
}}
passdb {{
  driver = static
  args = password={password}
}}
passdb {{
  driver = static
  args = password={ascii_password}
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={folder}/mail/%u
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    address = 127.0.0.1
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service anvil {{
  chroot =
}}
"""
POOR = "imap_capability = IMAP4rev1"


@dataclass
class MailServer:
    """One server; `account` gives a test a user of its own, with an inbox."""

    line: Line
    folder: Path
    user: str = ""
    _client: imaplib.IMAP4 | None = field(default=None, repr=False)

    def account(self) -> "MailServer":
        user = f"ada-{uuid4().hex[:8]}"
        found = MailServer(self.line, self.folder, user)
        found.client.select("INBOX")
        return found

    @property
    def config(self) -> dict[str, Any]:
        return {"host": "127.0.0.1", "port": self.line.port, "security": "none"}

    @property
    def secrets(self) -> dict[str, str]:
        return {"username": self.user, "password": PASSWORD}

    @property
    def client(self) -> imaplib.IMAP4:
        """What the owner of the account reads mail with."""
        if self._client is None:
            self._client = imaplib.IMAP4("127.0.0.1", self.line.port)
            proof = f"\0{self.user}\0{PASSWORD}".encode()
            self._client.authenticate("PLAIN", lambda _: proof)
        return self._client

    def create(self, folder: str) -> None:
        self._do(self.client.create(f'"{folder}"'))

    def put(self, message: bytes, folder: str = "INBOX", *, days_ago: int = 0) -> None:
        # the real time: the server compares it with days
        at = datetime.now(UTC) - timedelta(days=days_ago)  # noqa: TID251
        when = imaplib.Time2Internaldate(at)
        self._do(self.client.append(f'"{folder}"', "", when, message))

    def remove(self, uid: int, folder: str = "INBOX") -> None:
        self.mark(uid, folder)
        self._do(self.client.expunge())

    def mark(
        self, uid: int, folder: str = "INBOX", how: str = "+FLAGS (\\Deleted)"
    ) -> None:
        self._do(self.client.select(f'"{folder}"'))
        verb, _, flags = how.partition(" ")
        self._do(self.client.uid("STORE", str(uid), verb, flags))

    def drop(self, folder: str) -> None:
        self._do(self.client.select("INBOX"))
        self._do(self.client.delete(f'"{folder}"'))

    def close(self) -> None:
        if self._client is not None:
            self._client.shutdown()
            self._client = None

    def _do(self, answer: tuple[str, Any]) -> None:
        assert answer[0] == "OK", answer


@contextmanager
def _dovecot(program: str, more: str) -> Iterator[MailServer]:
    # its own users have to get in, which they cannot where pytest keeps its files
    folder = Path(tempfile.mkdtemp(prefix="wellhead-dovecot-"))
    folder.chmod(0o755)
    for name in ("run", "state", "mail"):
        (folder / name).mkdir()
    user, group = getpass.getuser(), grp.getgrgid(os.getgid()).gr_name
    if os.getuid() == 0:
        user, group = "nobody", "nogroup"
        shutil.chown(folder / "mail", user, group)
    _write_certificate(folder)
    port = free_port()
    uid = pwd.getpwnam(user).pw_uid
    settings = SETTINGS.format(
        folder=folder,
        user=user,
        group=group,
        uid=uid,
        port=port,
        password=PASSWORD,
        ascii_password=ASCII_PASSWORD,
        more=more,
    )
    (folder / "dovecot.conf").write_text(settings)
    command = [program, "-F", "-c", str(folder / "dovecot.conf")]
    try:
        with running(command, port, folder), line_to(port) as line:
            yield MailServer(line, folder)
    finally:
        shutil.rmtree(folder)


def _write_certificate(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail.test")])
    now = datetime.now(UTC)  # noqa: TID251  # the real time: others check it
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(certificate.public_bytes(pem))
    secret = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(secret)


@pytest.fixture(scope="session")
def dovecot(require: Callable[[str | Path], str]) -> Iterator[MailServer]:
    with _dovecot(require(Path("/usr/sbin/dovecot")), "") as server:
        yield server


@pytest.fixture(scope="session")
def poor_dovecot(require: Callable[[str | Path], str]) -> Iterator[MailServer]:
    """The same without QRESYNC, CONDSTORE and all else that is not in the first RFC."""
    with _dovecot(require(Path("/usr/sbin/dovecot")), POOR) as server:
        yield server
