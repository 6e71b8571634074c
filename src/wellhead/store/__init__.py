"""The ledger: every table and query."""
