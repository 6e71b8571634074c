"""A web server with pages that a test writes: nginx."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import pytest
from tests.servers.line import Line, line_to
from tests.servers.process import free_port, running

SETTINGS = """
daemon off;
master_process off;
worker_processes 1;
pid {folder}/pid;
error_log stderr warn;
events {{ worker_connections 64; }}
http {{
  include /etc/nginx/mime.types;
  default_type application/octet-stream;
  log_format told '$request_method $request_uri $status "$http_user_agent"';
  access_log {folder}/access.log told;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2;
  fastcgi_temp_path {folder}/t3; uwsgi_temp_path {folder}/t4;
  scgi_temp_path {folder}/t5;
  server {{
    listen 127.0.0.1:{port};
    absolute_redirect off;
    root {folder}/files;
    index index.html;
    location ~ /gone\\. {{ return 410; }}
    location ~ /closed/ {{ return 403; }}
    location ~ ^(?<before>.*)/moved/(?<name>.*)$ {{ return 301 $before/$name; }}
    location ~ ^(?<before>.*)/away/(?<name>.*)$ {{ return 302 $before/$name; }}
    location ~ /feeds/ {{ default_type application/xml; }}
  }}
}}
"""


@dataclass(frozen=True)
class WebServer:
    """Serves what lies in a folder; `site` gives a test a part of its own."""

    folder: Path
    line: Line
    part: str = ""
    _read_from: list[int] = field(default_factory=lambda: [0])

    def site(self) -> "WebServer":
        found = WebServer(self.folder, self.line, f"/site-{uuid4().hex[:8]}")
        found.asked()
        return found

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.line.port}"

    def url(self, path: str = "/") -> str:
        return f"{self.root}{self.part}{path}"

    def write(self, path: str, content: str | bytes) -> None:
        target = self.folder / "files" / f"{self.part}{path}".lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        data = content.encode() if isinstance(content, str) else content
        # a new file each time: the server's etag is made of time and size
        target.unlink(missing_ok=True)
        target.write_bytes(data)

    def page(self, path: str, text: str, *links: str, head: str = "") -> None:
        anchors = "".join(f'<li><a href="{one}">to {one}</a></li>' for one in links)
        self.write(
            path,
            f"<!doctype html><html lang=en><head><title>About {path}</title>{head}"
            f"</head><body><nav><ul>{anchors}</ul></nav><main><article>"
            f"<h1>Heading of {path}</h1><p>{text} This content is told at some length, "
            "so that whoever looks for the main part of a page can tell it from the "
            "rest.</p></article></main><footer>All rights reserved.</footer></body>"
            "</html>",
        )

    def remove(self, path: str) -> None:
        (self.folder / "files" / f"{self.part}{path}".lstrip("/")).unlink()

    def asked(self) -> list[tuple[str, int]]:
        """Return path and status of what was asked for since the last call."""
        log = self.folder / "access.log"
        lines = log.read_text().splitlines() if log.exists() else []
        new, self._read_from[0] = lines[self._read_from[0] :], len(lines)
        found = [line.split()[1:3] for line in new]
        return [(path.removeprefix(self.part), int(status)) for path, status in found]


@pytest.fixture(scope="session")
def nginx(
    require: Callable[[str | Path], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WebServer]:
    program = require(Path("/usr/sbin/nginx"))
    port, folder = free_port(), tmp_path_factory.mktemp("nginx")
    (folder / "files").mkdir()
    (folder / "nginx.conf").write_text(SETTINGS.format(folder=folder, port=port))
    command = [program, "-e", "stderr", "-p", str(folder), "-c"]
    command.append(str(folder / "nginx.conf"))
    with running(command, port, folder), line_to(port) as line:
        yield WebServer(folder, line)
