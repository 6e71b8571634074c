"""Styles, scripts and pictures: read once, served under an address that names them."""

import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

FOLDER = Path(__file__).parent / "static"
FOR_EVER = "public, max-age=31536000, immutable"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_NAME = re.compile(r"[a-z_]+\.[a-z]+")


@dataclass(frozen=True, slots=True)
class Assets:
    """The files by name, and one mark that changes when any of them does.

    The mark is a part of the path, so that modules find each other under it.
    """

    files: dict[str, bytes]
    mark: str

    @classmethod
    def read(cls, folder: Path = FOLDER) -> "Assets":
        files = {
            one.name: one.read_bytes()
            for one in sorted(folder.iterdir())
            if one.suffix in TYPES and _NAME.fullmatch(one.name)
        }
        digest = sha256()
        for name, content in files.items():
            digest.update(name.encode() + b"\0" + content)
        return cls(files, digest.hexdigest()[:12])

    def path(self, name: str) -> str:
        return f"static/{self.mark}/{name}"

    async def serve(self, request: Request) -> Response:
        """Answer with a file; an older mark gets the file as it is now, uncached."""
        name = str(request.path_params["name"])
        content = self.files.get(name)
        if content is None:
            raise HTTPException(404)
        is_this = request.path_params["mark"] == self.mark
        return Response(
            content,
            media_type=TYPES[Path(name).suffix],
            headers={"Cache-Control": FOR_EVER if is_this else "no-cache"},
        )
