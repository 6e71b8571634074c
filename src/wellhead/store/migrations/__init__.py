"""The ledger's history as Alembic migrations, applied by `wellhead.store.migrate`.

Until the first release the only one is written from `wellhead.store.schema` by
`python tests/write_initial_migration.py`; never edit it by hand.
"""
