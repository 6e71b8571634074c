"""Which files hold text that we can read, told by their names."""

from enum import StrEnum


class TextKind(StrEnum):
    """What a text is written in, so where it may be cut."""

    MARKDOWN = "markdown"
    CODE = "code"
    TEXT = "text"


MARKDOWN_SUFFIXES = frozenset({".markdown", ".md", ".mdown", ".mdx", ".mkd", ".qmd"})

_TEXT_SUFFIXES = """
    .adoc .asc .asciidoc .bib .cfg .conf .csv .diff .dtd .ics .ini .json .json5 .jsonc
    .jsonl .ldif .lock .log .ndjson .nfo .opml .org .patch .plist .po .pot .properties
    .rst .srt .tex .text .textile .toml .tsv .txt .vcf .vtt .wiki .xml .xsd .xsl
    .xslt .yaml .yml
"""
TEXT_SUFFIXES = frozenset(_TEXT_SUFFIXES.split())

_CODE_SUFFIXES = """
    .adb .ads .asm .awk .bash .bat .c .cc .cjs .clj .cljs .cmake .cmd .coffee .cpp .cs
    .css .cts .cu .cxx .d .dart .elm .el .erl .ex .exs .f .f90 .fish .fs .go .gradle
    .graphql .groovy .h .hcl .hh .hpp .hrl .hs .hxx .java .jl .js .jsx .kt .kts .less
    .lisp .lua .m .mjs .mk .ml .mli .mm .mts .nim .nix .pas .php .pl .pm .proto .ps1
    .pxd .py .pyi .pyx .r .rb .rs .s .sass .scala .scm .scss .sh .sol .sql .styl .sv
    .svelte .swift .tcl .tf .thrift .ts .tsx .v .vb .vhd .vim .vue .zig .zsh
"""
CODE_SUFFIXES = frozenset(_CODE_SUFFIXES.split())

DOCUMENT_SUFFIXES = {
    ".doc": "application/msword",
    ".docm": "application/vnd.ms-word.document.macroEnabled.12",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".dotx": "application/vnd.openxmlformats-officedocument.wordprocessingml.template",
    ".eml": "message/rfc822",
    ".epub": "application/epub+zip",
    ".fb2": "application/x-fictionbook+xml",
    ".htm": "text/html",
    ".html": "text/html",
    ".ipynb": "application/x-ipynb+json",
    ".mht": "message/rfc822",
    ".mhtml": "message/rfc822",
    ".msg": "application/vnd.ms-outlook",
    ".odp": "application/vnd.oasis.opendocument.presentation",
    ".ods": "application/vnd.oasis.opendocument.spreadsheet",
    ".odt": "application/vnd.oasis.opendocument.text",
    ".pdf": "application/pdf",
    ".ppsx": "application/vnd.openxmlformats-officedocument.presentationml.slideshow",
    ".ppt": "application/vnd.ms-powerpoint",
    ".pptm": "application/vnd.ms-powerpoint.presentation.macroEnabled.12",
    ".pptx": "application/vnd.openxmlformats-officedocument"
    ".presentationml.presentation",
    ".rtf": "application/rtf",
    ".xhtml": "application/xhtml+xml",
    ".xls": "application/vnd.ms-excel",
    ".xlsb": "application/vnd.ms-excel.sheet.binary.macroEnabled.12",
    ".xlsm": "application/vnd.ms-excel.sheet.macroEnabled.12",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
"""Formats that need a parser, with their media types."""
_SUFFIXES = MARKDOWN_SUFFIXES | CODE_SUFFIXES | TEXT_SUFFIXES | DOCUMENT_SUFFIXES.keys()

_TEXT_NAMES = """
    authors build caddyfile changelog changes codeowners containerfile contributing
    contributors copying copyright dockerfile gemfile gnumakefile history install
    jenkinsfile justfile licence license maintainers makefile metadata news notice
    pkg-info procfile rakefile readme security thanks todo vagrantfile version workspace
"""
TEXT_NAMES = frozenset(_TEXT_NAMES.split())
"""Files without a suffix that are text by custom, in lower case."""

_TEXT_MEDIA = frozenset(
    {
        "application/javascript",
        "application/json",
        "application/sql",
        "application/toml",
        "application/x-ndjson",
        "application/x-sh",
        "application/x-yaml",
        "application/xml",
        "application/yaml",
    }
)
_SUFFIX_OF_MEDIA = {
    "text/markdown": ".md",
    "text/x-markdown": ".md",
    "text/rtf": ".rtf",
} | {media.lower(): suffix for suffix, media in DOCUMENT_SUFFIXES.items()}


def is_readable(name: str) -> bool:
    """Return whether a file of this name (or path) is one that we take text from."""
    dot = name.rfind(".")
    # most files are decided by their suffix as it is; what has no stem has no suffix
    if name[dot:] in _SUFFIXES and dot > name.rfind("/") + 1:
        return True
    return readable_suffix(name) is not None


def readable_suffix(name: str, media_type: str | None = None) -> str | None:
    """Return the suffix that decides how to read a file, None when nobody can.

    The name decides; the media type counts when the name says nothing.
    """
    base = name.lower().rstrip("/").rpartition("/")[2]
    stem, _, suffix = base.rpartition(".")
    if stem and f".{suffix}" in _SUFFIXES:
        return f".{suffix}"
    if base in TEXT_NAMES:
        return ".txt"
    media = (media_type or "").partition(";")[0].strip().lower()
    if media in _SUFFIX_OF_MEDIA:
        return _SUFFIX_OF_MEDIA[media]
    return ".txt" if media.startswith("text/") or media in _TEXT_MEDIA else None


def text_kind(suffix: str) -> TextKind | None:
    """Return what a file with this suffix is written in, None if it is not text."""
    if suffix in MARKDOWN_SUFFIXES:
        return TextKind.MARKDOWN
    if suffix in CODE_SUFFIXES:
        return TextKind.CODE
    return TextKind.TEXT if suffix in TEXT_SUFFIXES else None
