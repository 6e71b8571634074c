"""The catalogue: how each source describes itself and its fields."""

from dataclasses import dataclass

from wellhead.domain.catalogue import DeletesFound, Tested
from wellhead.domain.connections import AuthMethod
from wellhead.domain.errors import NotFoundError
from wellhead.domain.oauth_provider import OAuthType
from wellhead.services.parts import Parts
from wellhead.sources.base import Source, SourceInfo
from wellhead.sources.fields import FieldInfoRecord, fields_of
from wellhead.sources.oauth.table import provider_of
from wellhead.sources.rate_limits import RateLimitLevel

Field = FieldInfoRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceDescription:
    """One source, as people choose it."""

    short_name: str
    name: str
    class_name: str
    description: str
    auth_methods: tuple[AuthMethod, ...]
    entity_types: tuple[str, ...]
    labels: tuple[str, ...]
    supports_continuous: bool
    is_incremental: bool
    deletes_found: DeletesFound
    supports_access_control: bool
    tested: Tested
    is_federated: bool
    rate_limit_level: RateLimitLevel | None
    oauth_type: OAuthType | None
    requires_byoc: bool
    credential_fields: tuple[Field, ...]
    config_fields: tuple[Field, ...]


def list_sources(parts: Parts) -> list[SourceDescription]:
    """Return every source, sorted by its name for people."""
    return [describe(source) for source in parts.sources.all()]


def get_source(parts: Parts, short_name: str) -> SourceDescription:
    try:
        return describe(parts.sources.get(short_name))
    except NotFoundError:
        raise NotFoundError(f"Source not found: {short_name}") from None


def _oauth_type(info: SourceInfo) -> OAuthType | None:
    """Return what the source says, or what is known of its provider."""
    if info.oauth_type is not None or not any(
        one.is_oauth for one in info.auth_methods
    ):
        return info.oauth_type
    provider = provider_of(info)
    return None if provider is None else provider.oauth_type


def _deletes_found(source: type[Source]) -> DeletesFound:
    if source.is_federated:
        return DeletesFound.AT_ONCE
    if source.info.is_window:
        return DeletesFound.NEVER
    is_told = source.info.yields_deletes or not source.info.is_incremental
    return DeletesFound.EACH_JOB if is_told else DeletesFound.DAILY


def describe(source: type[Source]) -> SourceDescription:
    """Say what the source says, and what follows from it."""
    limit = source.info.rate_limit
    return SourceDescription(
        short_name=source.info.short_name,
        name=source.info.name,
        class_name=source.__name__,
        description=source.info.description,
        auth_methods=source.info.auth_methods,
        entity_types=source.info.entity_types,
        labels=source.info.labels,
        supports_continuous=source.info.supports_continuous,
        is_incremental=source.info.is_incremental,
        deletes_found=_deletes_found(source),
        tested=source.info.tested,
        supports_access_control=source.info.tells_access,
        is_federated=source.is_federated,
        oauth_type=_oauth_type(source.info),
        rate_limit_level=None if limit is None else limit.level,
        requires_byoc=source.info.needs_own_client,
        credential_fields=tuple(fields_of(source.credentials_model)),
        config_fields=tuple(fields_of(source.config_model)),
    )
