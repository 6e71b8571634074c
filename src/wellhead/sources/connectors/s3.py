"""Objects of Amazon S3, and of stores that speak the same."""

from obstore.store import ObjectStore, S3Store
from pydantic import Field, model_validator

from wellhead.domain.catalogue import Tested
from wellhead.domain.entities import Breadcrumb
from wellhead.sources.base import Config, SourceInfo
from wellhead.sources.object_store import ObjectStoreConfig, ObjectStoreSource
from wellhead.sources.remote_files import ENTITY_TYPE


class S3StoreConfig(ObjectStoreConfig):
    bucket: str = Field(min_length=1, title="Bucket", description="Its name.")
    region: str = Field(
        "us-east-1", title="Region", description="The bucket's region, eu-west-1 say."
    )


class S3Credentials(Config):
    access_key_id: str | None = Field(
        None,
        title="Access key ID",
        description="Without one, the identity of the server's own machine is used.",
    )
    secret_access_key: str | None = Field(
        None,
        title="Secret access key",
        description="Belongs to the access key ID.",
        repr=False,
        json_schema_extra={"is_secret": True},
    )
    session_token: str | None = Field(
        None,
        title="Session token",
        description="Only with temporary keys.",
        repr=False,
        json_schema_extra={"is_secret": True},
    )

    @model_validator(mode="after")
    def _is_a_pair(self) -> "S3Credentials":
        if bool(self.access_key_id) != bool(self.secret_access_key):
            raise ValueError("access_key_id and secret_access_key belong together")
        return self


class S3Source(ObjectStoreSource):
    """Amazon S3, MinIO, Ceph, Cloudflare R2, Backblaze B2, Wasabi and others."""

    info = SourceInfo(
        short_name="s3",
        name="Amazon S3",
        description="Files of a bucket, on S3 or a store that speaks the same.",
        entity_types=(ENTITY_TYPE,),
        needs_trust=True,
        labels=("Files", "Object store"),
        tested=Tested.REAL_SERVER,
    )
    config_model = S3StoreConfig
    credentials_model = S3Credentials
    config: S3StoreConfig
    credentials: S3Credentials

    @property
    def place(self) -> Breadcrumb:
        return Breadcrumb(self.config.bucket, self.config.bucket, "Bucket")

    def open_store(self) -> ObjectStore:
        config = self.config
        given = self.credentials.model_dump(exclude_none=True)
        options = config.options(**given) | {"region": config.region}
        if config.endpoint:
            options["endpoint"] = config.endpoint
        return S3Store(config.bucket, **options)

    def url_of(self, key: str) -> str:
        config = self.config
        if config.endpoint:
            return f"{config.endpoint}/{config.bucket}/{key}"
        if config.anonymous:
            return f"https://{config.bucket}.s3.{config.region}.amazonaws.com/{key}"
        console = f"https://{config.region}.console.aws.amazon.com/s3/object"
        return f"{console}/{config.bucket}?region={config.region}&prefix={key}"
