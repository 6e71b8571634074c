"""A place with files that a source reads: what tests need to know of it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

from tests.servers.line import Line


@dataclass(frozen=True)
class Store:
    """One server with files; `at` gives a test a folder of its own there.

    `wrong` are credentials that the server refuses, `missing` is config that names
    what is not there, `told` what the source then says.
    """

    short_name: str
    config: dict[str, Any]
    secrets: dict[str, Any]
    wrong: dict[str, Any]
    missing: dict[str, Any]
    told: str
    line: Line
    put_at: Callable[[str, bytes], None]
    delete_at: Callable[[str], None]
    folder: str = ""
    is_below: bool = False  # ids begin below the test's folder
    root: Callable[[str], dict[str, Any]] = field(
        default=lambda folder: {"prefixes": [folder]}
    )

    def fresh(self) -> "Store":
        folder = f"test-{uuid4().hex[:12]}"
        config = {**self.config, **self.root(folder)}
        return replace(self, folder=f"{folder}/", config=config)

    @property
    def before(self) -> str:
        """What ids begin with."""
        return "" if self.is_below else self.folder

    def put(self, path: str, content: str) -> None:
        self.put_at(self.folder + path, content.encode())

    def delete(self, path: str) -> None:
        self.delete_at(self.folder + path)
