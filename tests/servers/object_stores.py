"""Object stores that run here: moto for S3, fake-gcs-server, and Azurite."""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import obstore
import pytest
from obstore.store import AzureStore, S3Store
from tests.servers.line import line_to
from tests.servers.process import MODULES, PROGRAMS, free_port, running
from tests.servers.store import Store

Require = Callable[[str | Path], str]
PLAIN: Any = {"allow_http": True}
POLICY = (
    '{"Version": "2012-10-17", "Statement": '
    '[{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}'
)
ACCOUNT = "devstoreaccount1"
ACCOUNT_KEY = base64.b64encode(b"a key of the tests, long enough").decode()


@pytest.fixture(scope="session")
def s3(require: Require, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    port, folder = free_port(), tmp_path_factory.mktemp("moto")
    command = [require(PROGRAMS / "moto_server"), "-p", str(port)]
    # the first four requests make the bucket and the user; then keys are checked
    asked = {"INITIAL_NO_AUTH_ACTION_COUNT": "4"}
    with running(command, port, folder, asked), line_to(port) as line:
        here = f"http://127.0.0.1:{port}"
        httpx.put(f"{here}/harbour").raise_for_status()
        access, secret = _make_user(here)
        endpoint = f"http://127.0.0.1:{line.port}"
        keys = {"access_key_id": access, "secret_access_key": secret}
        options: Any = {**keys, "region": "us-east-1", "client_options": PLAIN}
        store = S3Store("harbour", endpoint=here, **options)
        yield Store(
            short_name="s3",
            config={"bucket": "harbour", "endpoint": endpoint},
            secrets=keys,
            wrong={**keys, "secret_access_key": "wrong-s3cret"},
            missing={"bucket": "no-such-bucket"},
            told="SignatureDoesNotMatch: The request signature we calculated",
            line=line,
            put_at=lambda key, content: _put(store, key, content),
            delete_at=lambda key: obstore.delete(store, key),
        )


@pytest.fixture(scope="session")
def gcs(require: Require, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    port, folder = free_port(), tmp_path_factory.mktemp("gcs")
    [found] = [*(PROGRAMS.parent / "lib").rglob("fake-gcs-server-linux-amd64")] or [
        PROGRAMS / "fake-gcs-server"
    ]
    with line_to(port) as line:
        options = {
            "-backend": "memory",
            "-scheme": "http",
            "-host": "127.0.0.1",
            "-port": str(port),
            "-public-host": f"127.0.0.1:{line.port}",
        }
        command = [require(found), *(one for pair in options.items() for one in pair)]
        here = httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False)
        with running(command, port, folder), here as client:
            made = client.post("/storage/v1/b", json={"name": "harbour"})
            made.raise_for_status()
            yield Store(
                short_name="gcs",
                config={
                    "bucket": "harbour",
                    "endpoint": f"http://127.0.0.1:{line.port}",
                    "anonymous": True,
                },
                secrets={},
                wrong={},  # it checks none
                missing={},  # it answers with status 500
                told="",
                line=line,
                put_at=lambda key, content: _upload(client, key, content),
                delete_at=lambda key: _remove(client, key),
            )


@pytest.fixture(scope="session")
def azure_blob(
    require: Require, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Store]:
    port, folder = free_port(), tmp_path_factory.mktemp("azurite")
    main = require(MODULES / "azurite/dist/src/blob/main.js")
    # it would tell its makers, and leave what it could not tell in /tmp
    quiet = ("--inMemoryPersistence", "--disableTelemetry")
    command = [require("node"), main, "--blobPort", str(port), *quiet]
    asked = {"AZURITE_ACCOUNTS": f"{ACCOUNT}:{ACCOUNT_KEY}"}
    with running(command, port, folder, asked), line_to(port) as line:
        here = f"http://127.0.0.1:{port}/{ACCOUNT}"
        _make_container(here)
        store = AzureStore(
            "harbour",
            account_name=ACCOUNT,
            account_key=ACCOUNT_KEY,
            endpoint=here,
            client_options=PLAIN,
        )
        wrong = base64.b64encode(b"another key, which is wrong").decode()
        yield Store(
            short_name="azure_blob",
            config={
                "account": ACCOUNT,
                "container": "harbour",
                "endpoint": f"http://127.0.0.1:{line.port}/{ACCOUNT}",
            },
            secrets={"account_key": ACCOUNT_KEY},
            wrong={"account_key": wrong},
            missing={"container": "no-such-container"},
            told="AuthorizationFailure: Server failed to authenticate the request.",
            line=line,
            put_at=lambda key, content: _put(store, key, content),
            delete_at=lambda key: obstore.delete(store, key),
        )


def _put(store: Any, key: str, content: bytes) -> None:
    obstore.put(store, key, content)


def _make_user(here: str) -> tuple[str, str]:
    scope = "Credential=any/20260101/us-east-1/iam/aws4_request"
    header = {"Authorization": f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=, Signature="}
    answer = ""
    for action, more in (
        ("CreateUser", {}),
        ("PutUserPolicy", {"PolicyName": "all", "PolicyDocument": POLICY}),
        ("CreateAccessKey", {}),
    ):
        form = {"Action": action, "UserName": "ada", "Version": "2010-05-08", **more}
        response = httpx.post(here, data=form, headers=header)
        answer = response.raise_for_status().text
    access = re.search("<AccessKeyId>(.*?)<", answer)
    secret = re.search("<SecretAccessKey>(.*?)<", answer)
    assert access is not None
    assert secret is not None
    return access[1], secret[1]


def _upload(client: httpx.Client, key: str, content: bytes) -> None:
    place = {"uploadType": "media", "name": key}
    url = "/upload/storage/v1/b/harbour/o"
    client.post(url, params=place, content=content).raise_for_status()


def _remove(client: httpx.Client, key: str) -> None:
    client.delete(f"/storage/v1/b/harbour/o/{quote(key, safe='')}").raise_for_status()


def _make_container(here: str) -> None:
    """Sign by hand what no client that is installed here can ask for."""
    headers = {
        "x-ms-date": formatdate(usegmt=True),
        "x-ms-version": "2021-08-06",
    }
    lines = ["PUT", *[""] * 11, *(f"{name}:{one}" for name, one in headers.items())]
    resource = f"/{ACCOUNT}/{ACCOUNT}/harbour\nrestype:container"
    signed = "\n".join([*lines, resource]).encode()
    key = base64.b64decode(ACCOUNT_KEY)
    proof = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    headers["Authorization"] = f"SharedKey {ACCOUNT}:{proof}"
    url = f"{here}/harbour?restype=container"
    httpx.put(url, headers=headers).raise_for_status()
