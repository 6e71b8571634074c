"""Writes the initial migration anew from the schema; only until the first release."""

import subprocess
import sys
from pathlib import Path

from alembic.autogenerate import render_python_code
from alembic.operations.ops import CreateIndexOp, CreateTableOp, UpgradeOps
from alembic.runtime.migration import MigrationContext

from wellhead.store import tables

FILE = Path(tables.__file__).with_name("migrations") / "versions" / "v0001_initial.py"
HEAD = '''"""The whole schema; tests/write_initial_migration.py writes it."""
# ruff: noqa: E501, PLR0915

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute("CREATE SEQUENCE version_seq AS bigint")
    op.execute("CREATE SEQUENCE job_sequence AS bigint")
'''


def write() -> None:
    steps = UpgradeOps(ops=[])
    for table in tables.metadata.sorted_tables:
        steps.ops.append(CreateTableOp.from_table(table))
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            steps.ops.append(CreateIndexOp.from_index(index))
    context = MigrationContext.configure(dialect_name="postgresql")
    rendered = render_python_code(steps, migration_context=context).splitlines()
    body = [line for line in rendered if not line.lstrip().startswith("#")]
    FILE.write_text(HEAD + "\n".join(body) + "\n")
    ruff = [sys.executable, "-m", "ruff"]
    subprocess.run([*ruff, "check", "--fix", "--quiet", FILE], check=True)
    subprocess.run([*ruff, "format", "--quiet", FILE], check=True)


if __name__ == "__main__":
    write()
