"""A package for a source of one's own, ready to be installed, run and tested."""

import re
from importlib import resources
from pathlib import Path
from string import Template

from wellhead.domain.errors import WellheadError

FILES = {
    "pyproject.toml": "pyproject.toml.txt",
    "README.md": "README.md.txt",
    "src/$package/__init__.py": "init.py.txt",
    "src/$package/source.py": "source.py.txt",
    "tests/vendor.py": "vendor.py.txt",
    "tests/test_source.py": "test_source.py.txt",
}
"""Where each template goes."""


class NewSourceError(WellheadError):
    """The package cannot be made; the message says why."""


def create(short_name: str, into: Path, *, taken: frozenset[str]) -> Path:
    """Write the package below `into`, and return its folder. Raises NewSourceError."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", short_name):
        raise NewSourceError(
            f"'{short_name}' is no short name: use small letters, digits and single"
            " underscores, such as my_tracker"
        )
    if short_name in taken:
        raise NewSourceError(
            f"there is a source '{short_name}' already: choose another"
        )
    folder = into / f"wellhead-source-{short_name.replace('_', '-')}"
    if folder.exists():
        raise NewSourceError(f"{folder} is there already: it is left as it is")
    words = {
        "short_name": short_name,
        "package": f"wellhead_source_{short_name}",
        "distribution": folder.name,
        "title": short_name.replace("_", " ").title(),
        "camel": short_name.title().replace("_", ""),
    }
    try:
        for place, template in FILES.items():
            file = folder / Template(place).substitute(words)
            file.parent.mkdir(parents=True, exist_ok=True)
            text = resources.files(__name__).joinpath("template", template).read_text()
            file.write_text(Template(text).substitute(words))
    except OSError as error:
        raise NewSourceError(f"{folder} cannot be written: {error}") from error
    return folder
