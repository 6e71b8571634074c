"""The forms of a declared source: models made of what its definition asks for."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, create_model

from wellhead.domain.oauth_provider import is_host_label
from wellhead.sources.base import Config
from wellhead.sources.declared.definition import (
    ConfigEntry,
    CredentialEntry,
    Definition,
)
from wellhead.sources.declared.templates import template

_KINDS: dict[str, Any] = {
    "string": str,
    "integer": int,
    "boolean": bool,
    "list": list[str],
}


def config_model(definition: Definition, name: str) -> type[Config]:
    places = template(definition.base_url).places
    labels = {place.names[0] for place in places if place.names}
    fields: dict[str, Any] = {
        key: _config_field(one, is_label=key in labels)
        for key, one in definition.config.items()
    }
    return create_model(f"{name}Config", __base__=Config, **fields)


def credentials_model(definition: Definition, name: str) -> type[Config]:
    fields: dict[str, Any] = {
        key: _credential_field(one) for key, one in definition.credentials.items()
    }
    return create_model(f"{name}Credentials", __base__=Config, **fields)


def _host_label(value: Any) -> Any:
    if value is not None and not is_host_label(str(value)):
        raise ValueError("one part of a host name: letters, digits and hyphens")
    return value


def _config_field(entry: ConfigEntry, *, is_label: bool) -> tuple[Any, Any]:
    kind = Literal[tuple(entry.choices)] if entry.choices else _KINDS[entry.type]
    if is_label:
        kind = Annotated[kind, AfterValidator(_host_label)]
    told: dict[str, Any] = {"title": entry.title, "description": entry.description}
    if entry.required:
        return kind, Field(**told)
    if entry.default is None:
        return kind | None, Field(default=None, **told)
    return kind, Field(default=entry.default, **told)


def _credential_field(entry: CredentialEntry) -> tuple[Any, Any]:
    told: dict[str, Any] = {
        "title": entry.title,
        "description": entry.description,
        "repr": not entry.secret,
    }
    if entry.secret:
        told["json_schema_extra"] = {"is_secret": True}
    if entry.required:
        return str, Field(min_length=1, **told)
    return str | None, Field(default=None, **told)
