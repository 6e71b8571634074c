"""Logs: one line of JSON each on stderr, readable colours on a terminal."""

import logging
import sys
from collections.abc import Sequence
from typing import Any

import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import Processor

MASK = "***"
QUIET = (
    *("alembic", "anthropic", "httpcore", "httpcore2", "httpx", "httpx2", "mcp"),
    *("openai", "procrastinate", "uvicorn"),
)


class _Line(str):
    """What is whole already; the standard library only has to write it."""

    __slots__ = ()


def _whole(_logger: Any, _method: str, rendered: Any) -> _Line:
    """Mark what is rendered: the formatter would copy the record to do it."""
    return _Line(rendered)


class MaskingFormatter(ProcessorFormatter):
    """Takes secrets out of the finished line, wherever they came from."""

    def __init__(self, *, secrets: Sequence[str], **more: Any) -> None:
        super().__init__(**more)
        self._secrets = [one for one in secrets if one]

    def format(self, record: logging.LogRecord) -> str:
        line = record.msg
        if not isinstance(line, _Line):
            line = super().format(record)
        for secret in self._secrets:
            line = line.replace(secret, MASK)
        return line


def configure(level: int, *, secrets: Sequence[str] = ()) -> None:
    """Send what structlog and the standard library log to stderr, in one form."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            *_rendering(),
            _whole,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        MaskingFormatter(
            secrets=secrets,
            foreign_pre_chain=shared,
            processors=[ProcessorFormatter.remove_processors_meta, *_rendering()],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in QUIET:
        quiet = level if level <= logging.DEBUG else max(level, logging.WARNING)
        logging.getLogger(name).setLevel(quiet)
    logging.captureWarnings(capture=True)


def silence() -> None:
    """Keep logs off the terminal of a command."""
    structlog.configure(logger_factory=structlog.stdlib.LoggerFactory())
    logging.getLogger().handlers[:] = [logging.NullHandler()]


def _rendering() -> list[Processor]:
    if sys.stderr.isatty():
        # the default shows the values of variables, and with them secrets
        plain = structlog.dev.plain_traceback
        return [structlog.dev.ConsoleRenderer(exception_formatter=plain)]
    return [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(default=str),
    ]
