"""What the tiers of search that think need, and what is said where it is missing."""

from wellhead.domain.errors import NotConfiguredError
from wellhead.domain.ports import LanguageModel

NO_MODEL = (
    "No LLM provider configured. Set WELLHEAD_LLM to a model (docs/settings.md), or "
    "use the instant tier; classic answers like instant without one."
)


def require_language_model(model: LanguageModel | None) -> LanguageModel:
    """Return the model, or refuse with NotConfiguredError: there is none.

    Every tier that thinks asks here first: classic then answers like instant,
    agentic passes the refusal on.
    """
    if model is None:
        raise NotConfiguredError(NO_MODEL)
    return model
