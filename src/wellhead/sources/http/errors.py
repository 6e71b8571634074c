"""What a vendor can refuse about one thing, while the others go on.

EntityError
├── DeniedError       403: not for these credentials
├── GoneError         404, 410: it does not exist, or not any more
├── RefusedError      any other 4xx: asked wrongly, or not to be had
└── TooLargeError     more bytes than were allowed
"""

from wellhead.domain.errors import EntityError


class DeniedError(EntityError):
    """These credentials may not see this thing; they are good for others."""


class GoneError(EntityError):
    """It does not exist; `for_good` if the vendor said that it never will again."""

    def __init__(self, message: str, *, for_good: bool = False) -> None:
        super().__init__(message)
        self.for_good = for_good


class RefusedError(EntityError):
    """The vendor did not accept the request; `status` tells more."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class TooLargeError(EntityError):
    """An answer or a file is larger than what is taken."""
