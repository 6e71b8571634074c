"""The words of a query that are looked for."""

import lancedb

from wellhead.index.lance_rows import plain_text
from wellhead.index.lance_upkeep import MAX_TOKEN_LENGTH, TOKENIZER

MOST_TERMS = 256
_STOP_WORDS = """
a about after again against all also am an and any are as at be because been before
being below between both but by can could did do does doing down during each few for
from further had has have having he her here hers herself him himself his how i if in
into is it its itself just me more most my myself no nor not of off on once only or
other our ours ourselves out over own same she should so some such than that the their
theirs them themselves then there these they this those through to too under until up
very was we were what when where which while who whom why will with would you your yours
yourself yourselves
s t ll ve don isn aren wasn weren doesn didn hasn haven couldn shouldn wouldn won
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())
"""English ones, and what is left of them behind an apostrophe.

The index library's own list takes words of twenty languages for stop words, so that
nobody finds "C", "care", "min", "mod" or "volt"; and it makes the list for each query.
"""


def terms(query: str) -> list[str]:
    """Return the query's different words, without stop words if others are there."""
    tokens = lancedb.tokenize(
        plain_text(query),
        base_tokenizer=TOKENIZER,
        max_token_length=MAX_TOKEN_LENGTH,
        # the table does both, in this order, and doing them twice is not the same
        stem=False,
        ascii_folding=False,
        remove_stop_words=False,
    )
    words = dict.fromkeys(token.text for token in tokens)
    telling = [word for word in words if word not in STOP_WORDS]
    return (telling or [*words])[:MOST_TERMS]
