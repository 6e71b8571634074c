"""The model can fail: it notices each planted mistake. Run by `make soak`."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.model.mutants import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]
SECONDS = 120
ONLY = os.environ.get("WELLHEAD_MUTANT", "")  # noqa: TID251
BROKEN = re.compile("(Name|Type|Attribute|Import|Syntax|UnboundLocal)Error")
pytestmark = pytest.mark.soak


def planted(mutant: Mutant, folder: Path) -> Path:
    """Copy the product, with the mistake in it."""
    source = folder / "src"
    shutil.copytree(ROOT / "src", source)
    file = source / "wellhead" / mutant.file
    text = file.read_text()
    assert text.count(mutant.old) == mutant.times, (
        f"no longer to be planted: {mutant.name}"
    )
    file.write_text(text.replace(mutant.old, mutant.new))
    return source


def noticed(source: Path) -> str:
    """Run the model on that copy; returns what it said, or nothing."""
    environment = dict(os.environ) | {  # noqa: TID251
        "PYTHONPATH": str(source),
        "WELLHEAD_MODEL_SECONDS": str(SECONDS),
    }
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-x", "tests/model/test_model.py"),
            *("-p", "no:cacheprovider", "--tb=short", "--show-capture=no"),
        ],
        check=False,
        capture_output=True,
        text=True,
        timeout=SECONDS * 10,
        cwd=ROOT,
        env=environment,
    )
    if done.returncode == 0:
        return ""
    found = re.findall(r"^E +(\w*(?:Error|Exception)\b.*)$", done.stdout, re.MULTILINE)
    said = found[-1] if found else done.stdout[-500:]
    assert not BROKEN.search(said), f"the mistake does not even run: {said}"
    return str(said)


def test_each_planted_mistake_is_noticed(tmp_path, tell) -> None:
    table, missed = [], []
    for at, mutant in enumerate(MUTANTS):
        if ONLY not in mutant.name:
            continue
        verdict = noticed(planted(mutant, tmp_path / str(at)))
        if not verdict and mutant.equivalent:
            verdict = f"equivalent: {mutant.equivalent}"
        elif not verdict:
            verdict = "MISSED"
            missed.append(mutant.name)
        table.append(f"{mutant.name} | {verdict[:160]}")
    tell("\n".join(table))
    assert not missed
