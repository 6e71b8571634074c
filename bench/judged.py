"""Questions of which it is known what answers them, and the documents to search.

Cranfield: 1,400 abstracts, 225 questions, judged by people. Python's library: modules
without their docstrings, asked for by what the docstrings of 500 functions say.
"""

import ast
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from xml.etree import ElementTree

QUESTIONS = 500
LIBRARY_BYTES = 2_000_000
LARGEST_MODULE = 120_000
LONGEST_TITLE = 150
FEWEST_WORDS, MOST_WORDS = 6, 60
FEWEST_LINES = 3
LEFT_OUT = {"test", "tests", "site-packages", "idlelib", "encodings", "pydoc_data"}
LEFT_OUT |= {"turtledemo", "lib2to3", "__pycache__", "ensurepip"}
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, slots=True)
class Place:
    """From where to where in a document an answer is."""

    document: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and the grades of the items that answer it.

    With a place the answer is there, and the only item is the question's own.
    """

    id: str
    text: str
    relevant: Mapping[str, int]
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """Documents by file name, and questions about them."""

    name: str
    documents: Mapping[str, str]
    questions: Sequence[Question] = field(default=())

    @property
    def is_of_documents(self) -> bool:
        """Whether whole documents answer, so that each should be found once."""
        return not any(question.place for question in self.questions)

    def item(self, question: Question, document: str, passage: str) -> str:
        """Return what a passage that was found counts as: a document or a place."""
        place = question.place
        if place is None:
            return document
        at = self.documents[document].find(passage)
        is_there = 0 <= at < place.end and at + len(passage) > place.start
        is_there = is_there and document == place.document
        return question.id if is_there else f"{document} at {at}"

    def write(self, folder: Path) -> None:
        for name, text in self.documents.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")


def cranfield(folder: Path) -> Judged:
    """Read the collection; the judgements number the questions as they come."""
    documents = _documents(folder / "cran.xml")
    names = {_number(name): name for name in documents}
    grades: dict[int, dict[str, int]] = {}
    for line in (folder / "cran.qrel").read_text().splitlines():
        if line.strip():
            number, _, document, grade = line.split()
            grades.setdefault(int(number), {})[names[document]] = int(grade)
    asked = ElementTree.parse(folder / "cran.qry").getroot()  # noqa: S314  # ours
    questions = [
        Question(str(number), _plain(one.findtext("title")), grades.get(number, {}))
        for number, one in enumerate(asked.iter("top"), start=1)
    ]
    return Judged("Cranfield", documents, questions)


def _documents(file: Path) -> dict[str, str]:
    """Name each by its title, as people name files, and by its number."""
    # the file is a row of documents without one that holds them
    root = ElementTree.fromstring(f"<all>{file.read_text()}</all>")  # noqa: S314
    documents = {}
    for one in root.iter("doc"):
        title = _plain(one.findtext("title")).replace("/", " ")[:LONGEST_TITLE].strip()
        name = f"{title} {_plain(one.findtext('docno'))}.txt".lstrip()
        documents[name] = one.findtext("text") or ""
    return documents


def _number(name: str) -> str:
    return name.removesuffix(".txt").rpartition(" ")[2]


def _plain(text: str | None) -> str:
    return " ".join((text or "").split())


def library(folder: Path | None = None, count: int = QUESTIONS) -> Judged:
    """Take modules and questions as the hashes of their names come."""
    root = folder or Path(sysconfig.get_path("stdlib"))
    documents: dict[str, str] = {}
    questions: dict[str, Question] = {}
    size = 0
    for file in _by_hash(_modules(root)):
        name = str(file.relative_to(root))
        stripped = without_docstrings(file.read_text("utf-8", "replace"))
        if stripped is None or len(stripped.text) > LARGEST_MODULE:
            continue
        documents[name] = stripped.text
        for one in stripped.questions(name):
            questions.setdefault(one.text, one)
        size += len(stripped.text)
        if size > LIBRARY_BYTES:
            break
    chosen = sorted(questions.values(), key=lambda one: _hash(one.id))[:count]
    return Judged("Python's library", documents, chosen)


def sentences(of: Judged, folder: Path | None = None) -> list[str]:
    """Return the documents' sentences, and all lines of the library's docstrings."""
    root = folder or Path(sysconfig.get_path("stdlib"))
    texts = of.documents.values()
    found = {_plain(one) for text in texts for one in text.split(" .")}
    for file in _modules(root):
        stripped = without_docstrings(file.read_text("utf-8", "replace"))
        for docstring in () if stripped is None else stripped.said.values():
            found.update(map(_plain, docstring.split("\n")))
    return sorted((one for one in found if len(one.split()) >= FEWEST_WORDS), key=_hash)


def _modules(root: Path) -> Iterator[Path]:
    for file in root.rglob("*.py"):
        if not LEFT_OUT.intersection(file.relative_to(root).parts):
            yield file


def _by_hash(files: Iterator[Path]) -> list[Path]:
    return sorted(files, key=lambda file: _hash(file.name))


def _hash(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=8).digest()


@dataclass(frozen=True, slots=True)
class Stripped:
    """A module without docstrings; what they said, by the lines of their functions."""

    text: str
    said: Mapping[tuple[int, int], str]
    """By the first line and the line after the last, from 0, in the stripped text."""

    def questions(self, document: str) -> Iterator[Question]:
        offsets = [0]
        for line in self.text.splitlines(keepends=True):
            offsets.append(offsets[-1] + len(line))
        for (first, end), docstring in self.said.items():
            text = _plain(docstring.split("\n\n")[0])
            is_telling = FEWEST_WORDS <= len(text.split()) <= MOST_WORDS
            if is_telling and end - first > FEWEST_LINES:
                place = Place(document, offsets[first], offsets[end])
                name = f"{document}:{first}"
                yield Question(name, text, {name: 1}, place)


def without_docstrings(source: str) -> Stripped | None:
    """Take the docstrings out; None for what is no Python, or has odd line ends."""
    lines = source.splitlines(keepends=True)
    if len(lines) != len(source.split("\n")) - source.endswith("\n"):
        return None
    try:
        nodes = [n for n in ast.walk(ast.parse(source)) if isinstance(n, _DOCUMENTED)]
    except (SyntaxError, ValueError):
        return None
    gone: set[int] = set()
    said: list[tuple[int, int, str]] = []
    for node in nodes:
        docstring = ast.get_docstring(node)
        if docstring is None or not _has_own_lines(node.body[0], lines):
            continue
        first, end = node.body[0].lineno - 1, node.body[0].end_lineno or 0
        gone.update(range(first, end))
        if isinstance(node, _FUNCTIONS):
            said.append((node.lineno - 1, node.end_lineno or 0, docstring))
    kept_before = [0]
    for at in range(len(lines)):
        kept_before.append(kept_before[-1] + (at not in gone))
    text = "".join(line for at, line in enumerate(lines) if at not in gone)
    moved = {(kept_before[a], kept_before[b]): docstring for a, b, docstring in said}
    return Stripped(text, moved)


def _has_own_lines(node: ast.stmt, lines: Sequence[str]) -> bool:
    before = lines[node.lineno - 1].encode()[: node.col_offset]
    after = lines[(node.end_lineno or 1) - 1].encode()[node.end_col_offset :]
    return not (before + after).strip()
