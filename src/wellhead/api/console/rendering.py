"""Templates, and what they may call; everything is escaped unless made here."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from wellhead import __version__
from wellhead.api.console import charts, cron_words, words
from wellhead.api.console.assets import Assets

FOLDER = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True)
class Templates:
    """Renders pages and parts of pages."""

    environment: Environment

    @classmethod
    def load(cls, assets: Assets) -> "Templates":
        environment = Environment(
            loader=FileSystemLoader(FOLDER),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        environment.filters |= {
            "count": words.count,
            "short_count": words.short_count,
            "duration": words.duration,
            "about": words.about,
            "moment": words.moment,
            "size": words.size,
            "rate": words.rate,
            "named": words.named,
            "cron": cron_words.read_aloud,
            "iso": _iso,
            "pretty": _pretty,
        }
        environment.globals |= {
            "plural": words.plural,
            "changes": words.changes,
            "relative": words.relative,
            "asset": assets.path,
            "mark": assets.mark,
            "version": __version__,
            "STATES": words.STATES,
            "STATUSES": words.STATUSES,
            "PHASES": words.PHASES,
            "TRIGGERS": words.TRIGGERS,
            "TIMELINE": words.TIMELINE,
            "stacked": charts.stacked,
            "columns": charts.columns,
            "split": charts.split,
        }
        return cls(environment)

    def render(self, name: str, values: Mapping[str, Any]) -> str:
        return self.environment.get_template(name).render(values)


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _pretty(value: Any) -> str | Markup:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)
