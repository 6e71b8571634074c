"""What the doctor finds out without a server."""

import os
from pathlib import Path

import lancedb

from wellhead.app import checkup
from wellhead.app.home import Home, Served
from wellhead.app.settings import Settings


async def test_an_index_without_one_of_its_files_is_not_in_order(
    tmp_path: Path,
) -> None:
    settings = Settings(data_dir=tmp_path)
    home = Home(tmp_path)
    home.prepare()
    db = await lancedb.connect_async(home.index)
    table = await db.create_table("one", [{"version": 1}])
    table.close()
    [well] = checkup._try("index", lambda: checkup._index(settings))
    [file] = home.index.glob("one.lance/data/*")
    file.unlink()
    [broken] = checkup._try("index", lambda: checkup._index(settings))

    assert (well["ok"], well["found"]) == (True, f"{home.index}, 1 tables")
    assert not broken["ok"]
    assert broken["found"].startswith(f"1 files are missing, such as {file}")


def test_the_doctor_says_whose_settings_it_shows(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    home = Home(tmp_path)
    home.prepare()
    alone = checkup.whose_settings(settings)
    with home.locked():
        home.announce(Served("http://127.0.0.1:1", os.getpid()))
        served = checkup.whose_settings(settings)

    assert "server" not in alone
    assert "The server at http://127.0.0.1:1 has those that it was started with" in (
        served
    )
