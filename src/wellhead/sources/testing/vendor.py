"""A vendor's API in memory: the one thing that the author of a source has to supply."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import httpx

from wellhead.domain.items import Ref
from wellhead.sources.base import Source
from wellhead.sources.surroundings import Surroundings


class Vendor(ABC):
    """An account with the vendor, empty at first: records, and answers from them.

    The suite serves it over a real connection and puts every kind of trouble between
    it and the source, so `answer` need not know of any.
    """

    source: ClassVar[type[Source]]
    config: ClassVar[Mapping[str, Any]] = {}
    credentials: ClassVar[Mapping[str, Any]] = {}
    crowd: ClassVar[int] = 250
    """So many records are several pages."""

    @abstractmethod
    def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer as the vendor would; the address is the one that the source asked."""

    @abstractmethod
    def add(self, count: int) -> Sequence[Ref]:
        """Create so many records; returns how the source calls them."""

    @abstractmethod
    def change(self) -> Ref:
        """Change one record, so that its text is another; returns which."""

    @abstractmethod
    def remove(self) -> Ref:
        """Remove one record; returns which."""

    def busy(self) -> Sequence[httpx.Response]:
        """Each way in which this vendor says "too fast, come back in 7 seconds"."""
        return [httpx.Response(429, headers={"retry-after": "7"})]

    def is_about_one(self, request: httpx.Request) -> bool:  # noqa: ARG002  # most list
        """Tell whether a 404 to this request means that one record is gone."""
        return False

    def connect(self, surroundings: Surroundings) -> Source:
        """Make the source, as a connection to this account."""
        return self.source.create(
            dict(self.config), dict(self.credentials), surroundings
        )
