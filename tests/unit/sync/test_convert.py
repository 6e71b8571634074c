"""Files become text; what cannot says why."""

import asyncio
import zipfile
from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path

import docx
import openpyxl  # type: ignore[import-untyped]  # only writes what a test reads
import pptx
import pytest
import pytest_asyncio
from reportlab.pdfgen.canvas import Canvas  # type: ignore[import-untyped]  # the same

from wellhead.domain.errors import EntityError, FailureClass, FailureStage
from wellhead.domain.files import TextKind
from wellhead.sync.convert.converter import Converted, Converter

pytestmark = pytest.mark.asyncio(loop_scope="module")
WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def converter() -> AsyncIterator[Converter]:
    converter = Converter(processes=1)
    yield converter
    await converter.close()


async def convert(
    converter: Converter, path: Path, data: bytes | None = None
) -> Converted:
    if data is not None:
        await asyncio.to_thread(path.write_bytes, data)
    return await converter.text_of(path, name=path.name)


async def refusal(
    converter: Converter, path: Path, data: bytes | None = None
) -> EntityError:
    with pytest.raises(EntityError) as caught:
        await convert(converter, path, data)
    assert caught.value.stage is FailureStage.CONVERT
    return caught.value


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("grüße 🦉".encode(), "grüße 🦉"),
        ("\ufeffgrüße".encode(), "grüße"),
        ("grüße".encode("utf-16"), "grüße"),
        ("grüße".encode("utf-32"), "grüße"),
        (b"\xfe\xff" + "grüße".encode("utf-16-be"), "grüße"),
        ("grüße “so”".encode("cp1252"), "grüße “so”"),
        (b"gr\x81\xfc\xdfe", "gr\x81üße"),
        ("größer, ärger, öfter, üblich".encode() + b"\xff", None),
        (b"", ""),
        (b"\n \n", "\n \n"),
    ],
)
async def test_text_is_decoded_as_it_was_written(
    converter: Converter, tmp_path: Path, data: bytes, text: str | None
) -> None:
    got = await convert(converter, tmp_path / "a.txt", data)

    expected = "größer, ärger, öfter, üblich\ufffd" if text is None else text
    assert got == Converted((expected,), TextKind.TEXT)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("notes.MD", TextKind.MARKDOWN),
        ("main.py", TextKind.CODE),
        ("rows.csv", TextKind.TEXT),
        ("Makefile", TextKind.TEXT),
    ],
)
async def test_the_name_says_what_a_text_is_written_in(
    converter: Converter, tmp_path: Path, name: str, kind: TextKind
) -> None:
    assert (await convert(converter, tmp_path / name, b"x: 1")).kind is kind


async def test_the_media_type_counts_when_the_name_says_nothing(
    converter: Converter, tmp_path: Path
) -> None:
    path = tmp_path / "blob"
    path.write_bytes(b"<h1>Tides</h1>")

    got = await converter.text_of(
        path, name="Tides of 2024", media_type="text/html; charset=utf-8"
    )

    assert got == Converted(("# Tides\n",), TextKind.MARKDOWN)


async def test_binary_data_under_a_text_name_is_refused(
    converter: Converter, tmp_path: Path
) -> None:
    error = await refusal(converter, tmp_path / "a.csv", b"PK\x03\x04\x00\x00")

    assert "binary" in str(error)


async def test_the_title_of_a_page_is_its_heading(
    converter: Converter, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    page.write_text(
        "<html><head><title>Penguins</title></head>"
        "<body><h2>Food</h2><p>They eat fish.</p></body></html>"
    )

    text = (await converter.text_of(page, name="page.html")).text

    assert text.startswith("# Penguins\n\n## Food")


async def test_unknown_types_are_refused(converter: Converter, tmp_path: Path) -> None:
    assert "not read" in str(await refusal(converter, tmp_path / "a.exe", b"MZ"))


async def test_a_missing_file_may_come_back(
    converter: Converter, tmp_path: Path
) -> None:
    error = await refusal(converter, tmp_path / "gone.txt")

    assert error.failure_class is FailureClass.TRANSIENT


async def test_docx_keeps_headings_and_tables(
    converter: Converter, tmp_path: Path
) -> None:
    document = docx.Document()
    document.add_heading("Herons", 1)
    table = document.add_table(1, 2)
    table.cell(0, 0).text, table.cell(0, 1).text = "legs", "two"
    document.save(str(tmp_path / "a.docx"))

    got = await convert(converter, tmp_path / "a.docx")

    assert got.kind is TextKind.MARKDOWN
    assert "# Herons" in got.text
    assert "| legs | two |" in got.text


async def test_pdf_pptx_and_xlsx_give_their_words(
    converter: Converter, tmp_path: Path
) -> None:
    _write_pdf(tmp_path / "a.pdf", "Lighthouses are tall")
    slides = pptx.Presentation()
    title = slides.slides.add_slide(slides.slide_layouts[0]).shapes.title
    assert title is not None
    title.text = "Lighthouses are tall"
    slides.save(str(tmp_path / "a.pptx"))
    book = openpyxl.Workbook()
    book.create_sheet("S").append(["Lighthouses are tall"])
    book.save(tmp_path / "a.xlsx")

    for name in ("a.pdf", "a.pptx", "a.xlsx"):
        assert (
            "Lighthouses are tall" in (await convert(converter, tmp_path / name)).text
        )


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.html", b"<h1>Owls</h1><p>fly <b>low</b></p>", "# Owls"),
        ("a.rtf", rb"{\rtf1\ansi Owls {\b fly}.\par}", "Owls **fly**."),
    ],
)
async def test_markup_becomes_markdown(
    converter: Converter, tmp_path: Path, name: str, data: bytes, words: str
) -> None:
    assert words in (await convert(converter, tmp_path / name, data)).text


async def test_mail_holds_headers_body_and_attachments(
    converter: Converter, tmp_path: Path
) -> None:
    got = await convert(converter, tmp_path / "a.eml", bytes(_mail(tmp_path)))

    assert "Subject: Über the tide  \nFrom: Ann <ann@example.com>" in got.text
    assert "the plain body" in got.text
    assert "HTML body" not in got.text
    assert "## Attachment: plan.pdf\n\nLighthouses" in got.text
    assert "## Attachment: notes.txt\n\nsome notes" in got.text
    assert "## Attachment: fake.docx\n\n(not read: the file cannot" in got.text
    assert "## Attachment: photo.png" in got.text
    assert "Subject: the inner one" in got.text


async def test_an_empty_document_is_empty(converter: Converter, tmp_path: Path) -> None:
    assert (await convert(converter, tmp_path / "a.pdf", b"")).text == ""


async def test_a_document_without_text_is_a_failure(
    converter: Converter, tmp_path: Path
) -> None:
    _write_pdf(tmp_path / "scan.pdf", "")

    assert "no text found" in str(await refusal(converter, tmp_path / "scan.pdf"))


async def test_hostile_and_broken_documents_fail_alone(
    converter: Converter, tmp_path: Path
) -> None:
    _write_pdf(tmp_path / "locked.pdf", "hidden", password="p")  # noqa: S106  # a test's
    _write_pdf(tmp_path / "whole.pdf", "Lighthouses")
    _write_docx(tmp_path / "bomb.docx", _text_of_a_bomb())
    _write_docx(tmp_path / "laughs.docx", _billion_laughs())
    deep = b"<div>" * 200_000 + b"bottom" + b"</div>" * 200_000
    truncated = (tmp_path / "whole.pdf").read_bytes()[:600]
    cases = [
        ("locked.pdf", None, "password"),
        ("bomb.docx", None, "limit"),
        ("laughs.docx", None, "no text found"),
        ("deep.html", deep, "no text found"),
        ("truncated.pdf", truncated, "cannot be read"),
        ("fake.docx", b"just words\n" * 50, "cannot be read"),
        (
            "locked.xlsx",
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 600,
            "password",
        ),
    ]

    for name, data, reason in cases:
        error = await refusal(converter, tmp_path / name, data)
        assert error.failure_class is FailureClass.PERMANENT
        assert reason in str(error)

    assert (await convert(converter, tmp_path / "whole.pdf")).text


def _write_pdf(path: Path, words: str, password: str | None = None) -> None:
    canvas = Canvas(str(path), encrypt=password)
    canvas.drawString(72, 700, words)
    canvas.save()


def _write_docx(path: Path, body: bytes) -> None:
    """Write a Word file whose document is this XML, at little cost."""
    docx.Document().save(str(path))
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["word/document.xml"] = body
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def _text_of_a_bomb() -> bytes:
    run = b"A" * 110_000_000
    return _document(run)


def _billion_laughs() -> bytes:
    entities = "".join(
        f'<!ENTITY l{level} "{f"&l{level - 1};" * 10}">' for level in range(1, 10)
    )
    doctype = f'<!DOCTYPE x [<!ENTITY l0 "lol">{entities}]>'.encode()
    return _document(b"&l9;", doctype)


def _document(run: bytes, doctype: bytes = b"") -> bytes:
    opening = f'<w:document xmlns:w="{WORD}"><w:body><w:p><w:r><w:t>'.encode()
    closing = b"</w:t></w:r></w:p></w:body></w:document>"
    return b'<?xml version="1.0"?>' + doctype + opening + run + closing


def _mail(folder: Path) -> EmailMessage:
    mail = EmailMessage()
    mail["Subject"] = "Über the tide"
    mail["From"] = "Ann <ann@example.com>"
    mail.set_content("the plain body")
    mail.add_alternative("<p>the HTML body</p>", subtype="html")
    _write_pdf(folder / "plan.pdf", "Lighthouses")
    pdf = (folder / "plan.pdf").read_bytes()
    _attach(mail, "plan.pdf", pdf)
    mail.add_attachment("some notes", filename="notes.txt")
    _attach(mail, "fake.docx", b"no zip")
    _attach(mail, "photo.png", b"\x89PNG")
    inner = EmailMessage()
    inner["Subject"] = "the inner one"
    inner.set_content("and its body")
    mail.add_attachment(inner)
    return mail


def _attach(mail: EmailMessage, name: str, data: bytes) -> None:
    mail.add_attachment(
        data, maintype="application", subtype="octet-stream", filename=name
    )
