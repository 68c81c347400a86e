"""What a platform refuses in the middle of a run: waited for as it says, halted for credentials, and gone on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tallyport.store.database import Database
from tests.engine.pairs import End, Way, folder_of, pictured, until
from tests.engine.places import Place, Places

FILES = 6
WAIT = 1  # seconds that the platform asks for
OVER_HTTP = ("s3", "azure", "gcs", "wsgidav", "nextcloud")


def came_back(database: Database, there: Place, source: Path, back: Path) -> None:
    home = Way(database, there.end, End("fs", {"path": str(back)})).run()
    assert home.failed == 0
    assert pictured(back, 10**9) == pictured(source, 10**9)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("name", OVER_HTTP)
def test_nothing_is_sent_before_the_time_that_the_platform_gave(
    database: Database, places: Places, tmp_path: Path, name: str, status: int
) -> None:
    source, place = folder_of(tmp_path / "source", 1), places.new(name)  # with more, some would be under way
    with place.troubled(place.refusing(1, status, wait=WAIT)) as (there, proxy):
        ended = Way(database, End("fs", {"path": str(source)}), there.end).run()
        assert (ended.result, ended.failed, ended.transferred) == ("clean", 0, 1), ended.info
        ((refused, _),) = proxy.fired
        assert [one for one in proxy.passed if refused < one.at < refused + WAIT] == []
    came_back(database, place, source, tmp_path / "back")


@pytest.mark.parametrize("name", OVER_HTTP)
def test_credentials_refused_midway_halt_the_run_and_it_goes_on_by_itself(
    database: Database, places: Places, tmp_path: Path, name: str
) -> None:
    source, place = folder_of(tmp_path / "source", FILES), places.new(name)
    with place.troubled(place.refusing(3, 401, times=None)) as (there, proxy):
        way = Way(database, End("fs", {"path": str(source)}), there.end)
        with way.engine() as engine:
            execution_id = way.begin()
            engine.nudge()
            until(lambda: way.find(execution_id).state == "waiting")
            assert way.find(execution_id).failed == 0
            info = way.find(execution_id).info or ""
            assert info.startswith("the destination '"), info
            assert f"' ({place.end.platform}) refuses its credentials" in info
            assert "The last error: " in info
            proxy.script.clear()
            ended = way.wait(engine, execution_id)
        assert (ended.result, ended.failed) == ("clean", 0), ended.info
    came_back(database, place, source, tmp_path / "back")
