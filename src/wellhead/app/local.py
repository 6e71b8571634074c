"""The database and the keys of this machine, for commands that work without the API."""

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import SecretStr

from wellhead.app.home import Home
from wellhead.app.postgres import EmbeddedPostgres
from wellhead.app.settings import Settings
from wellhead.domain.errors import StartError


def served_settings(settings: Settings) -> Settings:
    """Return the settings with a database that runs already. Raises StartError."""
    if settings.database_url is not None:
        return settings
    if Home(settings.data_dir).served() is None:
        raise StartError(
            f"no server runs on {settings.data_dir}: start `wellhead serve` first, or "
            "set WELLHEAD_DATABASE_URL"
        )
    return _with(settings, EmbeddedPostgres.ensure(settings.data_dir))


@contextmanager
def database(settings: Settings) -> Iterator[Settings]:
    """The same, but start the embedded server for as long as it is needed."""
    home = Home(settings.data_dir)
    if settings.database_url is not None or home.served() is not None:
        yield served_settings(settings)
        return
    home.prepare()
    with home.locked():
        postgres = EmbeddedPostgres.ensure(settings.data_dir)
        try:
            yield _with(settings, postgres)
        finally:
            postgres.stop()


def _with(settings: Settings, postgres: EmbeddedPostgres) -> Settings:
    return settings.model_copy(update={"database_url": SecretStr(postgres.url)})


def secret_keys(settings: Settings) -> list[str]:
    """Return the keys of credentials that there are, the newest first."""
    if settings.secret_key is not None:
        found = settings.secret_key.get_secret_value()
    else:
        found = Home(settings.data_dir).read("secret_key") or ""
    return [key.strip() for key in found.split(",") if key.strip()]
