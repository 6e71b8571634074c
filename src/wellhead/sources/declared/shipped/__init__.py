"""Definitions that ship with Wellhead, one YAML file each."""

from importlib.resources import files

from wellhead.sources.declared.loading import load
from wellhead.sources.declared.source import DeclaredSource, source_of


def shipped() -> list[type[DeclaredSource]]:
    """Return the sources of all files here."""
    found = sorted(files(__name__).iterdir(), key=lambda one: one.name)
    texts = [one.read_text("utf-8") for one in found if one.name.endswith(".yaml")]
    return [source_of(load(text), is_shipped=True) for text in texts]
