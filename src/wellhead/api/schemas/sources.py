"""Sources as the public contract shows them."""

from collections.abc import Iterable
from typing import Literal

from pydantic import BaseModel

from wellhead.domain.catalogue import DeletesFound, Tested
from wellhead.domain.connections import AuthMethod
from wellhead.services.catalogue import Field, SourceDescription


class ConfigField(BaseModel):
    name: str
    title: str
    description: str | None = None
    type: str
    required: bool = True
    items_type: str | None = None
    feature_flag: str | None = None
    is_secret: bool = False
    enum_values: list[str] | None = None


class Fields(BaseModel):
    fields: list[ConfigField]

    @classmethod
    def of(cls, fields: Iterable[Field]) -> "Fields":
        return cls(
            fields=[
                ConfigField(
                    name=one.name,
                    title=one.title,
                    description=one.description,
                    type=one.type,
                    required=one.required,
                    items_type=one.items_type,
                    is_secret=one.is_secret,
                    enum_values=None
                    if one.enum_values is None
                    else list(one.enum_values),
                )
                for one in fields
            ]
        )


class Source(BaseModel):
    name: str
    description: str | None = None
    auth_methods: list[AuthMethod] | None = None
    oauth_type: (
        Literal["oauth1", "access_only", "with_refresh", "with_rotating_refresh"] | None
    ) = None
    requires_byoc: bool = False
    auth_config_class: str | None = None
    config_class: str | None = None
    short_name: str
    class_name: str
    output_entity_definitions: list[str] = []
    labels: list[str] | None = None
    supports_continuous: bool = False
    federated_search: bool = False
    supports_temporal_relevance: bool = True
    supports_access_control: bool = False
    rate_limit_level: Literal["org", "connection"] | None = None
    feature_flag: str | None = None
    supports_browse_tree: bool = False
    auth_fields: Fields | None = None
    config_fields: Fields
    supported_auth_providers: list[str] | None = None
    is_incremental: bool = False
    deletes_found: DeletesFound = DeletesFound.EACH_JOB
    tested: Tested = Tested.COMMUNITY

    @classmethod
    def of(cls, source: SourceDescription) -> "Source":
        return cls(
            name=source.name,
            description=source.description,
            auth_methods=list(source.auth_methods),
            oauth_type=source.oauth_type,
            requires_byoc=source.requires_byoc,
            short_name=source.short_name,
            class_name=source.class_name,
            output_entity_definitions=list(source.entity_types),
            labels=list(source.labels),
            supports_continuous=source.supports_continuous,
            supports_access_control=source.supports_access_control,
            federated_search=source.is_federated,
            rate_limit_level=_level(source),
            # of the others no field is typed in
            auth_fields=Fields.of(source.credential_fields)
            if AuthMethod.DIRECT in source.auth_methods
            else None,
            config_fields=Fields.of(source.config_fields),
            supported_auth_providers=[],
            is_incremental=source.is_incremental,
            deletes_found=source.deletes_found,
            tested=source.tested,
        )


def _level(source: SourceDescription) -> Literal["org", "connection"] | None:
    return None if source.rate_limit_level is None else source.rate_limit_level.value
