"""Whether a database has the schema of this program, told without loading Alembic."""

from importlib import resources

import psycopg

_FOUND = """
    SELECT (SELECT string_agg(version_num, ',') FROM alembic_version),
      (SELECT value FROM setting WHERE name = 'engine_schema')
"""


def is_current(url: str) -> bool:
    """Tell whether an upgrade would change nothing; False where that is not known.

    Blocks.
    """
    try:
        with psycopg.connect(url, connect_timeout=10) as connection:
            found = connection.execute(_FOUND).fetchone()
    except psycopg.Error:
        return False  # the upgrade says what is wrong
    newest = _newest("wellhead.store.migrations.versions", ".py")
    # v0001_initial.py holds the revision 0001
    return found == (newest[1:5], _newest("procrastinate.sql.migrations", ".sql"))


def _newest(package: str, suffix: str) -> str:
    names = (file.name for file in resources.files(package).iterdir())
    return max(name for name in names if name.endswith(suffix))
