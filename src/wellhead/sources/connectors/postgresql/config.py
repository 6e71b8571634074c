"""What people configure of a PostgreSQL database."""

import re
from enum import StrEnum
from typing import Self

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict
from pydantic import Field, field_validator, model_validator

from wellhead.sources.base import Config
from wellhead.sources.rows import IdColumns, PageSize, TextColumns, TitleColumn

_SELECT = re.compile(r"(select|with|values|table)\b", re.IGNORECASE)


class SSLMode(StrEnum):
    """How the connection is protected, in PostgreSQL's own words."""

    DISABLE = "disable"
    PREFER = "prefer"
    REQUIRE = "require"
    VERIFY_CA = "verify-ca"
    VERIFY_FULL = "verify-full"


class TablesConfig(Config):
    """Which database, which tables of it, and what their columns are for."""

    url: str | None = Field(
        None,
        title="URL",
        description=(
            "postgresql://user@host:port/database instead of the fields below, "
            "without the password."
        ),
    )
    host: str = Field("localhost", title="Host", description="Name of the server.")
    port: int = Field(5432, ge=1, le=65_535, title="Port", description="Usually 5432.")
    database: str | None = Field(
        None, title="Database", description="Name of the database."
    )
    ssl_mode: SSLMode | None = Field(
        None,
        title="SSL mode",
        description="Whether the connection must be encrypted and checked.",
    )
    schemas: list[str] = Field(
        default_factory=lambda: ["public"],
        min_length=1,
        title="Schemas",
        description="Schemas whose tables are read, unless tables are named.",
    )
    tables: list[str] = Field(
        default_factory=list,
        title="Tables",
        description="Tables or views to read, as table or schema.table.",
    )
    query: str | None = Field(
        None,
        title="Query",
        description="One SELECT to read instead of tables; it needs ID columns.",
    )
    id_columns: IdColumns = Field(default_factory=list)
    title_column: TitleColumn = None
    text_columns: TextColumns = Field(default_factory=list)
    updated_at_column: str | None = Field(
        None,
        title="Updated-at column",
        description=(
            "Time of a row's last change, so that later runs read only what "
            "changed; updated_at and modified_at are found by themselves."
        ),
    )

    @field_validator("url")
    @classmethod
    def _holds_no_password(cls, url: str | None) -> str | None:
        if url is None:
            return None
        try:
            parts = conninfo_to_dict(url)
        except ProgrammingError:
            raise ValueError("is not a PostgreSQL URL") from None
        if "password" in parts:
            raise ValueError("must not hold the password: it has its own field")
        return url

    @field_validator("query")
    @classmethod
    def _is_one_select(cls, query: str | None) -> str | None:
        if query is None:
            return None
        query = query.strip().rstrip(";").strip()
        if not _SELECT.match(query):
            raise ValueError("must be a single SELECT")
        return query

    @model_validator(mode="after")
    def _names_a_database(self) -> Self:
        if self.url is None and self.database is None:
            raise ValueError("database or url is required")
        if self.query is not None and not self.id_columns:
            raise ValueError("query needs id_columns")
        if self.query is not None and self.tables:
            raise ValueError("query and tables exclude each other")
        return self


class PostgreSQLConfig(TablesConfig):
    page_size: PageSize = 500


class PostgreSQLCredentials(Config):
    user: str | None = Field(
        None, title="User", description="A role that may read; reading is all we do."
    )
    password: str | None = Field(
        None,
        title="Password",
        description="Its password.",
        repr=False,
        json_schema_extra={"is_secret": True},
    )
