"""The files that are synced: what this machine has, chosen and changed the same way."""

import gzip
import os
import random
import shutil
import sysconfig
from codecs import BOM_UTF8
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

SMALLEST, LARGEST = 200, 64_000
MARK = "wellhead benchmark: this line was added"
STEP = 100
"""One file in so many is changed, and another one deleted."""
_TEXT_SUFFIXES = frozenset({".md", ".py", ".pyi", ".rst", ".txt"})
_MADE_UP = (".md", ".txt", ".py")
_OLD = 1_700_000_000
_WORDS = """
    account answer before branch bucket carry change column copy customer day delay
    document error event field file first flow found gate handle harbour index invoice
    job key late ledger letter limit list lock meter minute month name node note number
    order other page part path place point port price queue reader record report row
    second server shard signal source start state store stream table ticket time token
    total trace unit update value vector version wait week window worker write year
"""
_VOCABULARY = tuple(_WORDS.split())


@dataclass(frozen=True, slots=True)
class Place:
    """A folder of this machine, how much of the corpus it gives, and which files."""

    name: str
    folder: Path
    share: float
    suffixes: frozenset[str] | None = _TEXT_SUFFIXES
    without: frozenset[str] = frozenset({"__pycache__"})


@dataclass(frozen=True, slots=True)
class Corpus:
    """What was built: files of each place, and a digest that tells corpora apart."""

    places: dict[str, int]
    bytes: int
    digest: str

    @property
    def files(self) -> int:
        return sum(self.places.values())


def machine_places() -> list[Place]:
    """Name the places that most machines with Python have."""
    stdlib = Path(sysconfig.get_path("stdlib"))
    packages = Path(sysconfig.get_path("purelib"))
    own = frozenset({"__pycache__", "site-packages", "dist-packages"})
    return [
        Place("python", stdlib, 0.2, without=own),
        Place("packages", packages, 0.5),
        Place("man", Path("/usr/share/man"), 0.15, suffixes=None),
        Place("doc", Path("/usr/share/doc"), 0.15, suffixes=None),
    ]


def build(target: Path, count: int, places: list[Place] | None = None) -> Corpus:
    """Fill a new folder with so many text files; what the machine lacks is made up."""
    found = machine_places() if places is None else places
    shelves = {place.name: _texts(place) for place in found}
    seen: set[bytes] = set()
    chosen: dict[str, dict[str, bytes]] = {place.name: {} for place in found}
    for place in found:
        _take(shelves[place.name], chosen[place.name], seen, int(place.share * count))
    for place in found:  # others make up for a place that had too little
        left = count - sum(map(len, chosen.values()))
        _take(shelves[place.name], chosen[place.name], seen, left)
    left = count - sum(map(len, chosen.values()))
    chosen["synthetic"] = {
        f"{n % 100}/note-{n}{_MADE_UP[n % 3]}": _made_up(n) for n in range(left)
    }
    for name, files in chosen.items():
        for path, data in files.items():
            _write(target / name / path, data)
    return Corpus(
        {name: len(files) for name, files in chosen.items()},
        sum(len(data) for files in chosen.values() for data in files.values()),
        _digest(target),
    )


def copy(corpus: Path, target: Path) -> None:
    """Link a corpus into a new folder; `change` leaves the original as it is."""
    shutil.copytree(corpus, target, copy_function=os.link)


def listed(corpus: Path) -> list[Path]:
    """Return the files in an order that is the same everywhere."""
    return sorted(path for path in corpus.rglob("*") if path.is_file())


def change(corpus: Path) -> tuple[int, int]:
    """Add a line to one file in a hundred, delete another; returns how many of each."""
    files = listed(corpus)
    changed, deleted = files[::STEP], files[STEP // 2 :: STEP]
    for path in changed:
        text = path.read_bytes() + f"\n\n{MARK}\n".encode()
        path.unlink()  # the name is ours, the content may be shared
        path.write_bytes(text)
    for path in deleted:
        path.unlink()
    return len(changed), len(deleted)


def tickets(count: int) -> Iterator[tuple[int, str, str, str]]:
    """Yield rows: a number, a title, a status and a few sentences."""
    chance = random.Random(7)  # noqa: S311  # the same rows each time
    for number in range(1, count + 1):
        words = chance.choices(_VOCABULARY, k=chance.randint(20, 80))
        title = f"{words[0]} {words[1]} {number}"
        status = ("open", "closed", "waiting")[number % 3]
        yield number, title, status, " ".join(words)


def _take(
    shelf: Iterator[tuple[str, bytes]],
    chosen: dict[str, bytes],
    seen: set[bytes],
    count: int,
) -> None:
    for name, data in shelf if count > 0 else ():
        digest = blake2b(data, digest_size=16).digest()
        if digest not in seen:
            seen.add(digest)
            chosen[name] = data
            count -= 1
        if count <= 0:
            return


def _texts(place: Place) -> Iterator[tuple[str, bytes]]:
    """Yield names and contents of readable text files, in the order of their hashes."""
    ranked = sorted(
        (blake2b(name.encode(errors="replace"), digest_size=8).hexdigest(), name)
        for name in _names(place)
    )
    for rank, name in ranked:
        data = _content(place.folder / name)
        if data is not None:
            base = Path(name.removesuffix(".gz"))
            suffix = "" if base.suffix in _TEXT_SUFFIXES else ".txt"
            plain = base.name.encode("ascii", "replace").decode().replace("?", "_")
            yield f"{rank[:2]}/{rank[:10]}-{plain.lstrip('.')[-80:]}{suffix}", data


def _names(place: Place) -> Iterator[str]:
    for folder, folders, names in os.walk(place.folder):
        folders[:] = [one for one in folders if one not in place.without]
        for name in names:
            if place.suffixes is None or Path(name).suffix in place.suffixes:
                yield os.path.relpath(Path(folder) / name, place.folder)


def _content(path: Path) -> bytes | None:
    try:
        if path.is_symlink() or path.stat().st_size > LARGEST:
            return None
        data = path.read_bytes()
        if path.suffix == ".gz":
            data = gzip.decompress(data)
        data.decode("utf-8")
    except (OSError, EOFError, UnicodeDecodeError):
        return None
    if not SMALLEST <= len(data) <= LARGEST or b"\0" in data:
        return None
    if data.startswith(BOM_UTF8):  # some keep the mark as text, others do not
        return None
    return data if data.strip() else None


def _made_up(number: int) -> bytes:
    chance = random.Random(number)  # noqa: S311  # the same text each time
    lines = [
        " ".join(chance.choices(_VOCABULARY, k=chance.randint(8, 90))) + "."
        for _ in range(chance.randint(4, 60))
    ]
    return "\n\n".join([f"# Note {number}", *lines]).encode()


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (_OLD, _OLD))


def _digest(corpus: Path) -> str:
    total = blake2b(digest_size=8)
    for path in listed(corpus):
        total.update(str(path.relative_to(corpus)).encode())
        total.update(blake2b(path.read_bytes(), digest_size=16).digest())
    return total.hexdigest()
