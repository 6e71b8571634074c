"""Files fetched from elsewhere, kept on disk only while someone reads them."""

import os
import tempfile
import weakref
from collections.abc import Callable
from functools import partial
from pathlib import Path, PosixPath
from threading import Lock

from wellhead.domain.entities import Blob


class Fetched(PosixPath):
    """A path whose file is removed when nobody holds the path any more."""


class Downloads:
    """A folder that comes with the first file and goes with `close`.

    A job reads more than a disk holds, so each file goes as soon as its path does.
    """

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._lock = Lock()  # files are opened in several threads

    def blob(self, name: str, size: int, write: Callable[[Path], None]) -> Blob:
        """Return a file that `write` fetches when it is opened."""
        return Blob(name=name, size=size, open=partial(self._open, name, write))

    def close(self) -> None:
        with self._lock:
            folder, self._folder = self._folder, None
        if folder is not None:
            folder.cleanup()

    def _open(self, name: str, write: Callable[[Path], None]) -> Path:
        with self._lock:
            if self._folder is None:
                self._folder = tempfile.TemporaryDirectory(prefix="wellhead-files-")
        suffix = Path(name).suffix[:32]  # parsers tell formats by it
        handle, place = tempfile.mkstemp(suffix, dir=self._folder.name)
        os.close(handle)
        path = Fetched(place)
        weakref.finalize(path, _remove, place)
        write(path)
        return path


def _remove(place: str) -> None:
    Path(place).unlink(missing_ok=True)
