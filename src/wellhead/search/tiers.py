"""What the tiers of search that think with a language model do without one."""

from typing import Never

from wellhead.domain.errors import NotConfiguredError

NO_MODEL = (
    "No LLM provider configured. This version of Wellhead cannot be given one yet: "
    "use the instant tier, or classic, which without one answers like instant."
)


def require_language_model() -> Never:
    """Refuse with NotConfiguredError: there is no language model.

    Every tier that thinks asks here first, and nowhere else: classic then answers
    like instant, agentic passes the refusal on.
    """
    raise NotConfiguredError(NO_MODEL)
