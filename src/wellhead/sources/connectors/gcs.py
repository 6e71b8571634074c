"""Objects of Google Cloud Storage."""

import json

from obstore.store import GCSStore, ObjectStore
from pydantic import Field, field_validator

from wellhead.domain.catalogue import Tested
from wellhead.domain.entities import Breadcrumb
from wellhead.sources.base import Config, SourceInfo
from wellhead.sources.object_store import ObjectStoreConfig, ObjectStoreSource
from wellhead.sources.remote_files import ENTITY_TYPE


class GCSStoreConfig(ObjectStoreConfig):
    bucket: str = Field(min_length=1, title="Bucket", description="Its name.")


class GCSCredentials(Config):
    service_account_key: str | None = Field(
        None,
        title="Service account key",
        description="The JSON file's content; without one, the machine's identity.",
        repr=False,
        json_schema_extra={"is_secret": True},
    )

    @field_validator("service_account_key")
    @classmethod
    def _is_a_key(cls, text: str | None) -> str | None:
        if text is None:
            return None
        try:
            key = json.loads(text)
        except ValueError:
            key = None
        if not isinstance(key, dict) or not {"client_email", "private_key"} <= set(key):
            raise ValueError("must be the JSON of a service account's key")
        return text


class GCSSource(ObjectStoreSource):
    info = SourceInfo(
        short_name="gcs",
        name="Google Cloud Storage",
        description="Files of a bucket.",
        entity_types=(ENTITY_TYPE,),
        needs_trust=True,
        labels=("Files", "Object store"),
        tested=Tested.REAL_SERVER,
    )
    config_model = GCSStoreConfig
    credentials_model = GCSCredentials
    config: GCSStoreConfig
    credentials: GCSCredentials

    @property
    def place(self) -> Breadcrumb:
        return Breadcrumb(self.config.bucket, self.config.bucket, "Bucket")

    def open_store(self) -> ObjectStore:
        config = self.config
        options = config.options(**self.credentials.model_dump(exclude_none=True))
        if config.endpoint:
            options["base_url"] = config.endpoint
        return GCSStore(config.bucket, **options)

    def url_of(self, key: str) -> str:
        config = self.config
        if config.endpoint or config.anonymous:
            base = config.endpoint or "https://storage.googleapis.com"
            return f"{base}/{config.bucket}/{key}"
        console = "https://console.cloud.google.com/storage/browser/_details"
        return f"{console}/{config.bucket}/{key}"
