"""Blobs of Azure Storage."""

from obstore.store import AzureStore, ObjectStore
from pydantic import Field, model_validator

from wellhead.domain.catalogue import Tested
from wellhead.domain.entities import Breadcrumb
from wellhead.sources.base import Config, SourceInfo
from wellhead.sources.object_store import ObjectStoreConfig, ObjectStoreSource
from wellhead.sources.remote_files import ENTITY_TYPE


class AzureBlobConfig(ObjectStoreConfig):
    account: str = Field(
        min_length=1, title="Account", description="Name of the storage account."
    )
    container: str = Field(min_length=1, title="Container", description="Its name.")


class AzureBlobCredentials(Config):
    account_key: str | None = Field(
        None,
        title="Account key",
        description="One of the account's two keys.",
        repr=False,
        json_schema_extra={"is_secret": True},
    )
    sas_token: str | None = Field(
        None,
        title="SAS token",
        description="Instead of the key: a signature that may list and read.",
        repr=False,
        json_schema_extra={"is_secret": True},
    )
    tenant_id: str | None = Field(
        None, title="Tenant ID", description="With an app registration: its directory."
    )
    client_id: str | None = Field(
        None, title="Client ID", description="With an app registration: its ID."
    )
    client_secret: str | None = Field(
        None,
        title="Client secret",
        description="With an app registration: its secret.",
        repr=False,
        json_schema_extra={"is_secret": True},
    )

    @model_validator(mode="after")
    def _is_one_kind(self) -> "AzureBlobCredentials":
        app = (self.tenant_id, self.client_id, self.client_secret)
        if any(app) and not all(app):
            raise ValueError("tenant_id, client_id and client_secret belong together")
        if sum(map(bool, (self.account_key, self.sas_token, any(app)))) > 1:
            raise ValueError("give account_key, sas_token or an app, only one of them")
        return self


class AzureBlobSource(ObjectStoreSource):
    info = SourceInfo(
        short_name="azure_blob",
        name="Azure Blob Storage",
        description="Files of a container.",
        entity_types=(ENTITY_TYPE,),
        needs_trust=True,
        labels=("Files", "Object store"),
        tested=Tested.REAL_SERVER,
    )
    config_model = AzureBlobConfig
    credentials_model = AzureBlobCredentials
    config: AzureBlobConfig
    credentials: AzureBlobCredentials

    @property
    def place(self) -> Breadcrumb:
        return Breadcrumb(self.config.container, self.config.container, "Container")

    def open_store(self) -> ObjectStore:
        config = self.config
        given = self.credentials.model_dump(exclude_none=True)
        if token := given.pop("sas_token", None):
            given["sas_key"] = token.lstrip("?")
        options = config.options(**given) | {"account_name": config.account}
        if config.endpoint:
            options["endpoint"] = config.endpoint
        return AzureStore(config.container, **options)

    def url_of(self, key: str) -> str:
        config = self.config
        base = config.endpoint or f"https://{config.account}.blob.core.windows.net"
        return f"{base}/{config.container}/{key}"
