"""What only object stores have: prefixes, odd keys, keys of clouds."""

import pytest
from pydantic import ValidationError
from tests.servers.store import Store

from wellhead.domain.errors import ConfigError, CredentialsError, RetryableError
from wellhead.domain.items import Failure, ScopeEnd, ScopeStart, Upsert
from wellhead.sources.connectors.azure_blob import AzureBlobCredentials
from wellhead.sources.connectors.gcs import GCSCredentials, GCSSource
from wellhead.sources.connectors.s3 import S3Credentials, S3Source
from wellhead.sources.object_trouble import translated


async def test_each_prefix_is_a_scope_and_holds_only_what_is_below(s3: Store) -> None:
    store = s3.fresh()
    for path in ("a/b/one.md", "a/bc/two.md", "other/three.md"):
        store.put(path, path)
    prefixes = [f"{store.folder}{one}" for one in ("a/b/", "other", "other/deep")]
    source = S3Source.create({**store.config, "prefixes": prefixes}, store.secrets)
    items = [item async for item in source.read(None)]

    first, second = (f"{store.folder}{one}" for one in ("a/b", "other"))
    shown = [
        item.entity.source_id if isinstance(item, Upsert) else item for item in items
    ]
    assert shown == [
        ScopeStart(),
        ScopeStart(first.replace("/", "%2F")),
        f"{first}/one.md",
        ScopeEnd(first.replace("/", "%2F")),
        ScopeStart(second.replace("/", "%2F")),
        f"{second}/three.md",
        ScopeEnd(second.replace("/", "%2F")),
        ScopeEnd(),
    ]


async def test_without_prefixes_the_whole_bucket_is_read(s3: Store) -> None:
    store = s3.fresh()
    store.put("one.md", "one")
    whole = {**store.config, "prefixes": []}
    items = [item async for item in S3Source.create(whole, store.secrets).read(None)]

    found = {item.entity.source_id for item in items if isinstance(item, Upsert)}
    assert f"{store.folder}one.md" in found
    assert items[-1] == ScopeEnd()


async def test_keys_that_cannot_be_named_hide_only_their_own_folder(
    gcs: Store,
) -> None:
    store = gcs.fresh()
    for path in ("good/one.md", "odd/two.md", "odd//three.md", "odd/sub/four.md"):
        store.put(path, path)
    source = GCSSource.create(store.config, {})
    await source.check()
    items = [item async for item in source.read(None)]

    found = [item.entity.name for item in items if isinstance(item, Upsert)]
    gaps = [item.reason for item in items if isinstance(item, Failure)]
    assert found == ["one.md"]
    assert len(gaps) == 1
    assert "odd" in gaps[0]
    assert items[-1] == ScopeEnd(complete=False)


async def test_keys_are_refused_before_they_are_stored(gcs: Store) -> None:
    with pytest.raises(ValidationError, match="belong together"):
        S3Credentials.model_validate({"access_key_id": "only one"})
    with pytest.raises(ValidationError, match="only one of them"):
        AzureBlobCredentials.model_validate({"account_key": "a", "sas_token": "b"})
    for text in ("no JSON", "[]", '{"client_email": "ada@example.com"}'):
        with pytest.raises(ValidationError, match="service account"):
            GCSCredentials.model_validate({"service_account_key": text})
    unusable = {"client_email": "ada@example.com", "private_key": "s3cret"}
    key = str(unusable).replace("'", '"')
    source = GCSSource.create(
        {**gcs.config, "anonymous": False}, {"service_account_key": key}
    )
    with pytest.raises(CredentialsError, match="unusable") as told:
        await source.check()
    assert "s3cret" not in str(told.value)


def test_an_object_is_shown_where_people_can_open_it() -> None:
    own = S3Source.create({"bucket": "b", "region": "eu-west-1"}, {})
    public = S3Source.create({"bucket": "b", "anonymous": True}, {})

    assert own.url_of("a/b.md") == (
        "https://eu-west-1.console.aws.amazon.com/s3/object/b"
        "?region=eu-west-1&prefix=a/b.md"
    )
    assert public.url_of("a.md") == "https://b.s3.us-east-1.amazonaws.com/a.md"
    assert GCSSource.create({"bucket": "b"}, {}).url_of("a.md") == (
        "https://console.cloud.google.com/storage/browser/_details/b/a.md"
    )


def test_an_endpoint_and_prefixes_are_checked() -> None:
    with pytest.raises(ValidationError, match="must begin with https"):
        S3Source.create({"bucket": "b", "endpoint": "minio.local:9000"}, {})
    with pytest.raises(ValidationError, match="at most 600 bytes"):
        S3Source.create({"bucket": "b", "prefixes": ["x" * 700]}, {})
    source = S3Source.create({"bucket": "b", "prefixes": ["/", "a/"]}, {})
    assert source.config.prefixes == ["a"]


@pytest.mark.parametrize(
    ("text", "kind", "told"),
    [
        (
            "GET http://s/b?sig=s3cret - status code: 400 Bad Request: "
            "<Error><Code>ExpiredToken</Code><Message>Too old.</Message></Error>",
            CredentialsError,
            "The bucket 'b' refused the credentials: ExpiredToken: Too old.",
        ),
        (
            "GET http://s/b?sig=s3cret - status code: 400 Bad Request: <Error>"
            "<Code>InvalidBucketName</Code><Message>Not valid.</Message></Error>",
            ConfigError,
            "The bucket 'b' cannot be read: InvalidBucketName: Not valid.",
        ),
        (
            "GET http://s/b?sig=s3cret - status code: 503 Slow Down: <Error>"
            "<Code>SlowDown</Code><Message>Less.</Message></Error>",
            RetryableError,
            "The bucket 'b' cannot be reached: SlowDown: Less.",
        ),
        (
            "PUT http://169.254.169.254/latest/api/token - HTTP error: no route",
            CredentialsError,
            "The bucket 'b' needs credentials, and the server's machine has none of "
            "its own",
        ),
        (
            "GET http://s/b?sig=s3cret - HTTP error: sending http://s/b?sig=s3cret",
            RetryableError,
            "The bucket 'b' cannot be reached: HTTP error: sending http://s/b",
        ),
    ],
)
def test_errors_say_what_should_happen_next(
    text: str, kind: type[Exception], told: str
) -> None:
    with pytest.raises(kind) as raised, translated("The bucket 'b'"):
        raise ValueError(text)

    assert str(raised.value) == told


async def test_a_public_store_is_read_without_credentials(gcs: Store) -> None:
    assert gcs.config["anonymous"]
    gcs.put("public/one.md", "for everyone")
    source = GCSSource.create({**gcs.config, "prefixes": ["public"]}, {})
    names = [i.entity.name async for i in source.read(None) if isinstance(i, Upsert)]
    assert names == ["one.md"]
