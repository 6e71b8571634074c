"""A demo source with one small real file of each common kind."""

import asyncio
import csv
import io
import json
import zipfile
from collections.abc import AsyncIterator, Callable
from email.message import EmailMessage
from functools import partial
from html import escape
from typing import Any

from pydantic import Field

from wellhead.domain.catalogue import Tested
from wellhead.domain.entities import Breadcrumb, Entity
from wellhead.domain.items import Item, ScopeEnd, ScopeStart, Upsert
from wellhead.sources.base import Config, Source, SourceInfo
from wellhead.sources.demo import (
    TOPICS,
    StubCredentials,
    TemporaryFiles,
    date_of,
    numbers,
    sentence,
    version_of,
)

_CONTAINER = "FileStubContainerEntity"
_ENTITY = "FileStubEntity"
_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_MEDIA = "application/vnd.openxmlformats-officedocument.wordprocessingml"
_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'


class FileStubConfig(Config):
    seed: int = Field(
        42, title="Seed", description="The same seed gives the same content."
    )
    custom_content_prefix: str | None = Field(
        None,
        title="Content prefix",
        description="Put in front of the content of every file.",
    )


class FileStubSource(Source):
    """Files that are written, without other libraries, when they are opened."""

    info = SourceInfo(
        short_name="file_stub",
        name="File stub",
        description="One small file of each common kind.",
        entity_types=(_CONTAINER, _ENTITY),
        labels=("Demo",),
        tested=Tested.FAKE,
        is_demo=True,
    )
    config_model = FileStubConfig
    credentials_model = StubCredentials
    config: FileStubConfig

    def __init__(self, config: FileStubConfig, credentials: StubCredentials) -> None:
        super().__init__(config, credentials)
        self._files = TemporaryFiles()

    async def check(self) -> None:
        """Nothing can be wrong."""

    async def read(self, cursor: dict[str, Any] | None) -> AsyncIterator[Item]:  # noqa: ARG002
        """Yield the container and the files."""
        yield ScopeStart()
        yield Upsert(_container(self.config))
        for index, ending in enumerate(_WRITERS):
            yield Upsert(self._file(index, ending))
        yield ScopeEnd()

    async def close(self) -> None:
        await asyncio.to_thread(self._files.close)

    def _file(self, index: int, ending: str) -> Entity:
        seed, prefix = self.config.seed, self.config.custom_content_prefix
        chance = numbers(seed, "file", ending)
        topic = chance.choice(TOPICS)
        lines = [prefix] if prefix else []
        lines += [sentence(chance) for _ in range(6)]
        name = f"{topic.lower()}-{seed}.{ending}"
        parent = f"file-stub-{seed}"
        return Entity(
            type=_ENTITY,
            source_id=f"{parent}-{ending}",
            name=name,
            blob=self._files.blob(name, partial(_WRITERS[ending], topic, lines)),
            source_version=version_of(seed, prefix),
            created_at=date_of(index),
            updated_at=date_of(index),
            breadcrumbs=(Breadcrumb(parent, "File stub container", _CONTAINER),),
            raw={"seed": seed, "file_type": ending, "topic": topic},
        )


def _container(config: FileStubConfig) -> Entity:
    return Entity(
        type=_CONTAINER,
        source_id=f"file-stub-{config.seed}",
        name="File stub container",
        text="Holds the files of the file demo source.",
        source_version="1",
        created_at=date_of(0),
        updated_at=date_of(0),
        raw={"seed": config.seed},
    )


def _markdown(title: str, lines: list[str]) -> bytes:
    return f"# {title}\n\n{chr(10).join(lines)}\n".encode()


def _html(title: str, lines: list[str]) -> bytes:
    body = "\n".join(f"<p>{escape(line)}</p>" for line in lines)
    return (
        f"<!doctype html>\n<html><head><meta charset='utf-8'><title>{title}</title>"
        f"</head><body><h1>{title}</h1>\n{body}\n</body></html>\n"
    ).encode()


def _csv(title: str, lines: list[str]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("number", "topic", "note"))
    writer.writerows((n, title, line) for n, line in enumerate(lines, start=1))
    return out.getvalue().encode()


def _json(title: str, lines: list[str]) -> bytes:
    return json.dumps({"topic": title, "notes": lines}, indent=2).encode()


def _email(title: str, lines: list[str]) -> bytes:
    message = EmailMessage()
    message["From"] = "Harbour office <harbour@example.com>"
    message["To"] = "Archive team <archive@example.com>"
    message["Subject"] = title
    message["Date"] = "Mon, 01 Jan 2024 09:00:00 +0000"
    message["Message-ID"] = f"<{title.lower()}@example.com>"
    message.set_content("\n".join(lines))
    return message.as_bytes()


def _pdf(title: str, lines: list[str]) -> bytes:
    """Write one page of Helvetica: five objects and the table of where they are."""
    text = "".join(f"({_pdf_text(line)}) Tj T*\n" for line in (title, *lines))
    page = f"BT /F1 9 Tf 12 TL 40 780 Td\n{text}ET".encode("cp1252", "replace")
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(page), page),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica"
        b" /Encoding /WinAnsiEncoding >>",
    )
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    return out + (
        b"xref\n0 6\n0000000000 65535 f \n%strailer\n<< /Size 6 /Root 1 0 R >>\n"
        b"startxref\n%d\n%%%%EOF\n" % (table, len(out))
    )


def _pdf_text(line: str) -> str:
    return line.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")


def _docx(title: str, lines: list[str]) -> bytes:
    body = "".join(
        f"<w:p><w:r><w:t>{escape(line)}</w:t></w:r></w:p>" for line in (title, *lines)
    )
    parts = {
        "[Content_Types].xml": (
            f'<Types xmlns="{_PACKAGE}/content-types"><Default Extension="rels" '
            'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Override PartName="/word/document.xml" '
            f'ContentType="{_MEDIA}.document.main+xml"/></Types>'
        ),
        "_rels/.rels": (
            f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="r1" '
            f'Type="{_OFFICE}/officeDocument" Target="word/document.xml"/>'
            "</Relationships>"
        ),
        "word/document.xml": (
            f'<w:document xmlns:w="{_W}"><w:body>{body}</w:body></w:document>'
        ),
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in parts.items():
            # ZipInfo's own date is fixed: the bytes are the same in every run
            archive.writestr(zipfile.ZipInfo(name), _XML + content)
    return out.getvalue()


_WRITERS: dict[str, Callable[[str, list[str]], bytes]] = {
    "md": _markdown,
    "html": _html,
    "csv": _csv,
    "json": _json,
    "eml": _email,
    "pdf": _pdf,
    "docx": _docx,
}
