"""The program talks to nobody but itself and the sources it is given."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

Program = Any  # the fixture's own class
OWN_NETWORK = ["unshare", "--net"]
ALONE = Path(__file__).with_name("alone.py")


def can_have_a_network() -> bool:
    tools = all(shutil.which(tool) for tool in ("unshare", "ip"))
    if os.geteuid() != 0 or not tools:
        return False
    tried = subprocess.run([*OWN_NETWORK, "true"], check=False, capture_output=True)
    return tried.returncode == 0


@pytest.mark.skipif(
    not can_have_a_network(), reason="a network of one's own needs root and `ip`"
)
def test_serving_syncing_and_searching_tell_nobody(
    program: Program, tmp_path: Path
) -> None:
    (tmp_path / "note.md").write_text("The heron stands still.")
    program.more["WELLHEAD_EMBEDDER"] = "minilm"

    done = subprocess.run(
        [*OWN_NETWORK, sys.executable, ALONE, tmp_path],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env=program.environment,
    )

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["found"]["results"][0]["name"] == "note.md"
    assert told["sent"] == []
    assert ["192.0.2.1", 443, ""] in told["seen"], "it would have been seen"
