"""For whom a search is made: somebody who may see a part of what there is."""

from dataclasses import dataclass, replace

from wellhead.domain.entities import Access


@dataclass(frozen=True, slots=True)
class Principal:
    """The names of one person: the user's own, and that of every group it is in.

    They are spelled as sources spell viewers, and compared letter by letter.
    """

    names: tuple[str, ...]
    sees_unlisted: bool = False
    """Whether it also sees what its source does not say anything about."""

    def may_see(self, access: Access) -> bool:
        if access.is_public:
            return True
        if access.viewers is None:
            return self.sees_unlisted and access.is_public is None
        return not set(self.names).isdisjoint(access.viewers)

    def shown(self, access: Access) -> Access:
        """Return the access list without the others who are on it."""
        if access.viewers is None:
            return access
        own = tuple(one for one in access.viewers if one in self.names)
        return replace(access, viewers=own)


def user(name: str) -> str:
    """Return the viewer that a user is."""
    return f"user:{name}"


def group(name: str) -> str:
    """Return the viewer that the members of a group are."""
    return f"group:{name}"
