"""The git source: a listing of one commit, then the differences of commits."""

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Iterator,
    Sequence,
)
from contextlib import aclosing
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from pydantic import Field, field_validator

from wellhead.domain.catalogue import Tested
from wellhead.domain.entities import Blob, Breadcrumb, Entity
from wellhead.domain.errors import CursorInvalidError, EntityError, FailureClass
from wellhead.domain.files import is_readable
from wellhead.domain.items import (
    Checkpoint,
    Delete,
    Failure,
    Item,
    Ref,
    ScopeEnd,
    ScopeStart,
    Upsert,
)
from wellhead.sources.base import Config, Source, SourceInfo
from wellhead.sources.connectors.git.repository import (
    Head,
    Place,
    Repository,
    TreeFile,
    find_head,
)
from wellhead.sources.paths import Exclude, Globs, Include, storable

ENTITY_TYPE = "GitFile"
_PAGE_SIZE = 512
_SCHEMES = ("https://", "http://", "ssh://", "git://", "file://", "/", "~")


class GitConfig(Config):
    url: str = Field(
        min_length=1,
        title="Repository",
        description=(
            "URL of the repository (https, ssh, git, file or user@host:path), "
            "or its folder on the server."
        ),
    )
    branch: str | None = Field(
        None,
        title="Branch",
        description="Branch or tag to read; without one, the default branch.",
    )
    include: Include = Field(default_factory=list)
    exclude: Exclude = Field(default_factory=list)
    max_file_mb: int = Field(
        10,
        ge=1,
        le=1_000,
        title="Largest file (MB)",
        description="Larger files are reported as failed.",
    )

    @field_validator("url")
    @classmethod
    def _is_known(cls, url: str) -> str:
        is_short = "@" in url.partition(":")[0] and ":" in url  # user@host:path
        if not url.startswith(_SCHEMES) and not is_short:
            raise ValueError("must be a URL, user@host:path or an absolute path")
        if url.startswith(("http://", "https://")) and "@" in urlsplit(url).netloc:
            raise ValueError("must not hold credentials: they have their own fields")
        return url


class GitCredentials(Config):
    username: str | None = Field(
        None,
        title="User name",
        description="For https; most hosts need it only with a password.",
    )
    token: str | None = Field(
        None,
        title="Token or password",
        description="For https; public repositories need none, ssh uses its keys.",
        repr=False,
        json_schema_extra={"is_secret": True},
    )


class GitSource(Source):
    """Cursor {"commit": sha, "choice": …}: the next run reads what changed since.

    A remote repository is fetched without history into a temporary folder.
    """

    info = SourceInfo(
        short_name="git",
        name="Git repository",
        description="The files of one branch of a repository, wherever it is.",
        entity_types=(ENTITY_TYPE,),
        needs_trust=True,
        labels=("Code", "Files"),
        supports_continuous=True,
        is_incremental=True,
        yields_deletes=True,
        tested=Tested.REAL_SERVER,
    )
    config_model = GitConfig
    credentials_model = GitCredentials
    config: GitConfig
    credentials: GitCredentials

    def __init__(self, config: GitConfig, credentials: GitCredentials) -> None:
        super().__init__(config, credentials)
        self._globs = Globs.of(config.include, config.exclude)
        self._repositories: list[Repository] = []

    async def check(self) -> None:
        await asyncio.to_thread(find_head, self._place())

    async def read(self, cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        """Yield the files of the head, or the differences to the cursor's commit.

        A listing has no checkpoint before its end: to list again costs no content.
        """
        since = str((cursor or {}).get("commit") or "")
        if since and (cursor or {}).get("choice") != self._choice():
            raise CursorInvalidError("another branch or other patterns were chosen")
        head = await asyncio.to_thread(find_head, self._place())
        now = head.commit.decode() if head.commit else ""
        if since and not now:
            raise CursorInvalidError("the repository is empty now")
        yield ScopeStart()
        if now and now != since:
            async with aclosing(self._differences(head, since)) as items:
                async for item in items:
                    yield item
        yield ScopeEnd(complete=not since)
        yield Checkpoint({"commit": now, "choice": self._choice()})

    async def fetch(self, refs: Sequence[Ref]) -> AsyncIterator[Item]:
        """Yield the named files as they are in the head."""
        head = await asyncio.to_thread(find_head, self._place())
        repository = await self._open(head)
        missing = {ref.source_id: ref for ref in refs}
        wanted = frozenset(missing)
        files = (one for one in repository.files() if _source_id(one.path) in wanted)
        listing = self._paged(files, self._lister(repository, head))
        async with aclosing(listing) as items:
            async for item in items:
                found = item.ref if isinstance(item, Failure) else None
                if isinstance(item, Upsert):
                    found = Ref(ENTITY_TYPE, item.entity.source_id)
                if found is not None:
                    missing.pop(found.source_id, None)
                yield item
        for ref in missing.values():
            yield Delete(ref)

    async def close(self) -> None:
        await asyncio.to_thread(self._close)

    async def _differences(self, head: Head, since: str) -> AsyncGenerator[Item]:
        repository = await self._open(head, also=since or None)
        lister = self._lister(repository, head)
        if not since:
            async with aclosing(self._paged(repository.files(), lister)) as items:
                async for item in items:
                    yield item
            return
        changes = repository.changes(since)
        while page := await asyncio.to_thread(lambda: list(islice(changes, 64))):
            files = (change.file for change in page if change.file is not None)
            async with aclosing(self._paged(files, lister)) as items:
                async for item in items:
                    yield item
            for change in page:
                source_id = _source_id(change.path)
                if change.file is None and self._takes(change.path):
                    yield Delete(Ref(ENTITY_TYPE, source_id))

    async def _open(self, head: Head, also: str | None = None) -> Repository:
        """Open it; it stays open until `close`, for the files are read later."""
        opening = asyncio.ensure_future(
            asyncio.to_thread(lambda: Repository(self._place(), head, also=also))
        )
        # a cancelled run must not leave behind what a thread is still fetching
        opening.add_done_callback(self._keep)
        return await asyncio.shield(opening)

    def _keep(self, opening: "asyncio.Future[Repository]") -> None:
        if not opening.cancelled() and opening.exception() is None:
            self._repositories.append(opening.result())

    async def _paged(
        self, files: Iterator[TreeFile], lister: Callable[[TreeFile], Item]
    ) -> AsyncGenerator[Item]:
        def page() -> list[Item]:
            chosen = (one for one in files if self._takes(one.path))
            return [lister(one) for one in islice(chosen, _PAGE_SIZE)]

        while items := await asyncio.to_thread(page):
            for item in items:
                yield item

    def _takes(self, path: bytes) -> bool:
        text = path.decode("utf-8", "surrogateescape")
        parts = text.split("/")
        folders = ("/".join(parts[:depth]) + "/" for depth in range(1, len(parts)))
        return (
            is_readable(parts[-1])
            and self._globs.take(text)
            and all(map(self._globs.enter, folders))
        )

    def _lister(self, repository: Repository, head: Head) -> Callable[[TreeFile], Item]:
        limit = self.config.max_file_mb * 1024 * 1024
        repository_name = _repository_name(self.config.url)
        page_url = _page_url(self.config.url, head)

        def item(file: TreeFile) -> Item:
            source_id = _source_id(file.path)
            version = file.blob.decode()
            try:
                size = repository.size(file.blob)
            except EntityError as error:
                return Failure(Ref(ENTITY_TYPE, source_id), str(error))
            if size > limit:
                return Failure(
                    Ref(ENTITY_TYPE, source_id),
                    f"Larger than {self.config.max_file_mb} MB",
                    FailureClass.PERMANENT,
                    source_version=version,
                )
            name = source_id.rpartition("/")[2]
            return Upsert(
                Entity(
                    type=ENTITY_TYPE,
                    source_id=source_id,
                    name=name,
                    blob=Blob(
                        name=name,
                        size=size,
                        open=lambda: repository.write(file.blob, Path(name).suffix),
                    ),
                    source_version=version,
                    updated_at=repository.committed_at,
                    breadcrumbs=_breadcrumbs(repository_name, source_id),
                    url=f"{page_url}{quote(file.path)}" if page_url else "",
                    raw={
                        "path": source_id,
                        "size": size,
                        "blob": version,
                        "branch": head.branch,
                        "repository": repository_name,
                    },
                )
            )

        return item

    def _close(self) -> None:
        while self._repositories:
            self._repositories.pop().close()

    def _place(self) -> Place:
        token = self.credentials.token
        return Place(
            url=self.config.url,
            branch=self.config.branch,
            username=self.credentials.username
            or _user_of_token(self.config.url, token),
            token=token,
        )

    def _choice(self) -> str:
        """A digest of what decides which files are read."""
        chosen = self.config.model_dump_json()
        return blake2b(chosen.encode(), digest_size=8).hexdigest()


def _source_id(path: bytes) -> str:
    parts = path.decode("utf-8", "surrogateescape").split("/")
    return "/".join(map(storable, parts))


def _breadcrumbs(repository: str, source_id: str) -> tuple[Breadcrumb, ...]:
    folders = source_id.split("/")[:-1]
    return (
        Breadcrumb(repository, repository, "GitRepository"),
        *(
            Breadcrumb("/".join(folders[: depth + 1]), name, "GitFolder")
            for depth, name in enumerate(folders)
        ),
    )


def _repository_name(url: str) -> str:
    path = url.rstrip("/").removesuffix("/.git").removesuffix(".git")
    return path.replace(":", "/").rpartition("/")[2] or url


def _user_of_token(url: str, token: str | None) -> str | None:
    """Return the name that a host expects next to a token without one."""
    if token is None:
        return None
    host = urlsplit(url).hostname or ""
    if "gitlab" in host:
        return "oauth2"
    return "x-token-auth" if "bitbucket" in host else "x-access-token"


def _page_url(url: str, head: Head) -> str:
    """Return the address under which the host shows files, "" if unknown."""
    if url.startswith(("http://", "https://", "ssh://")):
        host, path = urlsplit(url).hostname or "", urlsplit(url).path
    else:
        host, _, path = url.rpartition("@")[2].partition(":")
    at = quote(head.branch) or (head.commit or b"").decode()
    base = f"https://{host}/{path.strip('/').removesuffix('.git')}"
    if "github" in host:
        return f"{base}/blob/{at}/"
    if "gitlab" in host:
        return f"{base}/-/blob/{at}/"
    return f"{base}/src/{at}/" if "bitbucket" in host else ""
