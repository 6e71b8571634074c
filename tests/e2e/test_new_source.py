"""A package that `wellhead sources new` makes is installed and passes its test."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

PYTHON = sys.executable
Done = subprocess.CompletedProcess[str]


def run(*words: str | Path, cwd: Path | None = None) -> Done:
    return subprocess.run(
        [str(word) for word in words],
        check=False,
        capture_output=True,
        text=True,
        timeout=600,
        cwd=cwd,
        env={"PATH": os.defpath, "PIP_NO_INDEX": "1", "HOME": str(cwd or "/")},
    )


def new(*words: str | Path) -> Done:
    return run(PYTHON, "-m", "wellhead.app.cli", "sources", "new", *words)


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """A new environment that also sees what ours has, and no network."""
    made = run(PYTHON, "-m", "venv", "--without-pip", tmp_path / "venv")
    assert made.returncode == 0, made.stderr
    [site] = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    ours = sysconfig.get_path("purelib")
    (site / "ours.pth").write_text(f"import site; site.addsitedir({ours!r})\n")
    return tmp_path / "venv" / "bin" / "python"


@pytest.mark.timeout(900)
def test_a_new_source_is_installed_and_conforms(python: Path, tmp_path: Path) -> None:
    made = new("my_tracker", "--into", tmp_path)
    assert made.returncode == 0, made.stderr
    folder = tmp_path / "wellhead-source-my-tracker"

    pip = (PYTHON, "-m", "pip", "--python", python, "install", "--quiet")
    installed = run(*pip, "--no-deps", "--no-build-isolation", folder)
    assert installed.returncode == 0, installed.stderr
    listed = run(
        python,
        "-c",
        "from wellhead.sources.registry import Registry\n"
        "print(Registry.load(include_demo=False).get('my_tracker').__name__)",
    )
    assert listed.stdout == "MyTrackerSource\n", listed.stderr

    tested = run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=folder)
    assert tested.returncode == 0, tested.stdout
    assert "29 passed" in tested.stdout


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("My-Tracker", "is no short name"),
        ("../tracker", "is no short name"),
        ("git", "there is a source 'git' already"),
    ],
)
def test_a_name_that_cannot_be_is_refused(name: str, why: str, tmp_path: Path) -> None:
    refused = new(name, "--into", tmp_path)

    assert refused.returncode == 1
    assert why in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    assert new("my_tracker", "--into", tmp_path).returncode == 0

    again = new("my_tracker", "--into", tmp_path)

    assert again.returncode == 1
    assert "is left as it is" in again.stderr
