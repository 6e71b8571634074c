"""A line to a server that a test can cut in the middle of an answer."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock, Thread


class Line:
    """Carries connections to a port of this machine; `cut_after` so many bytes."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._left: int | None = None
        self._lock = Lock()
        Thread(target=self._accept, daemon=True).start()

    def cut_after(self, count: int) -> None:
        """Break, for good, after so many more bytes of answers."""
        self._left = count

    def mend(self) -> None:
        self._left = None

    def close(self) -> None:
        self._listener.close()
        self._hang_up()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                if self._left is not None and self._left <= 0:
                    near.close()
                    continue
                far = socket.create_connection(("127.0.0.1", self._target))
                self._open |= {near, far}
                for one in ((near, far, False), (far, near, True)):
                    Thread(target=self._carry, args=one, daemon=True).start()

    def _carry(self, begin: socket.socket, end: socket.socket, counts: bool) -> None:
        with suppress(OSError):
            while data := begin.recv(1024):
                if counts and self._is_spent(len(data)):
                    self._hang_up()
                    return
                end.sendall(data)
        for one in (begin, end):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            self._open.discard(one)
            one.close()

    def _is_spent(self, count: int) -> bool:
        with self._lock:
            if self._left is None:
                return False
            self._left -= count
            return self._left <= 0

    def _hang_up(self) -> None:
        for one in tuple(self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


@contextmanager
def line_to(port: int) -> Iterator[Line]:
    line = Line(port)
    try:
        yield line
    finally:
        line.close()
