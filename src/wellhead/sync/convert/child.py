"""The process that reads documents: one request a line on stdin, frames on stdout.

A request is {"path", "suffix", "attachments"} as JSON. An answer is one byte (R ready,
T text, E reason of a failure), eight bytes of length, and that much UTF-8. The end of
stdin ends the process, also in the middle of a document.
"""

import json
import os
import queue
import re
import resource
import signal
import sys
import threading
from pathlib import Path
from typing import Any, BinaryIO

import kreuzberg

from wellhead.domain.errors import EntityError, FailureStage
from wellhead.domain.files import DOCUMENT_SUFFIXES
from wellhead.sync.convert.mail import read_mail
from wellhead.sync.convert.text import decode

MAIL = "message/rfc822"
OLE_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
MAX_REASON = 300
# how a page's title arrives
FRONT_MATTER = re.compile(r"\A---\n+## title: ([^\n]+)\n+")
CONFIG = kreuzberg.ExtractionConfig(
    use_cache=False,
    enable_quality_processing=False,
    output_format="markdown",
    concurrency=kreuzberg.ConcurrencyConfig(max_threads=1),
)


def main() -> None:
    """Answer until stdin ends; arguments: CPU seconds a document, bytes of memory."""
    cpu_seconds, memory_bytes = int(sys.argv[1]), int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Only the parent decides when this ends: by closing stdin or by SIGKILL.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a parser prints must not end up between frames
    requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(requests,), daemon=True).start()
    _send(answers, b"R", "")
    while True:
        request = json.loads(requests.get())
        _limit_cpu(cpu_seconds)
        _send(answers, *_answer(request))


def _answer(request: dict[str, Any]) -> tuple[bytes, str]:
    try:
        data = Path(request["path"]).read_bytes()
        if DOCUMENT_SUFFIXES[request["suffix"]] == MAIL:
            return b"T", read_mail(data, _read if request["attachments"] else None)
        return b"T", _read(data, request["suffix"])
    except EntityError as error:
        return b"E", str(error)
    except MemoryError:
        return b"E", "reading the file needs more memory than a document may take"
    except Exception as error:  # noqa: BLE001  # a parser may raise anything
        return b"E", f"the file cannot be read: {_shorten(error)}"


def _read(data: bytes, suffix: str) -> str:
    media_type = DOCUMENT_SUFFIXES.get(suffix)
    if media_type is None:
        return decode(data)
    if media_type == MAIL:
        return read_mail(data, None)
    try:
        text = kreuzberg.extract_bytes_sync(data, media_type, CONFIG).content
    except kreuzberg.KreuzbergError as error:
        reason = _reason(error, data, suffix)
        raise EntityError(reason, stage=FailureStage.CONVERT) from error
    return FRONT_MATTER.sub(r"# \1\n\n", text)


def _reason(error: Exception, data: bytes, suffix: str) -> str:
    is_zip_format = suffix.endswith("x") or suffix in {".odt", ".ods", ".odp"}
    if "password" in str(error).lower() or (
        is_zip_format and data.startswith(OLE_MAGIC)
    ):
        return "the file is protected with a password"
    return f"the file cannot be read: {_shorten(error)}"


def _shorten(error: Exception) -> str:
    """Return the message once (parsers chain it with itself), on one line."""
    kind = type(error).__name__
    parts = dict.fromkeys(" ".join(str(error).split()).split(": "))
    parts.pop(kind, None)
    return (": ".join(parts) or kind)[:MAX_REASON]


def _limit_cpu(seconds: int) -> None:
    """Let the kernel end this process (SIGXCPU) after so much more CPU time."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    until = int(usage.ru_utime + usage.ru_stime) + seconds + 1
    resource.setrlimit(resource.RLIMIT_CPU, (until, resource.RLIM_INFINITY))


def _receive(requests: queue.SimpleQueue[bytes]) -> None:
    for line in sys.stdin.buffer:
        requests.put(line)
    os._exit(0)


def _send(answers: BinaryIO, kind: bytes, text: str) -> None:
    payload = text.encode("utf-8", "replace")
    answers.write(kind + len(payload).to_bytes(8) + payload)
    answers.flush()


if __name__ == "__main__":
    main()
