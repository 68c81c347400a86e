"""What a run replaces and deletes on a server is kept there, without passing through us, and put back by undo."""

from __future__ import annotations

import dataclasses
from contextlib import closing
from pathlib import Path

import pytest

from tallyport.connectors.opening import open_connection
from tallyport.connectors.protocol import Connector, Facts
from tallyport.control.executions import queue_undo
from tallyport.domain.entries import Kind
from tallyport.domain.policies import TransferType
from tallyport.domain.transfer_block import defaults_for
from tallyport.store.database import Database
from tallyport.testing.wire import wired
from tallyport.testing.worlds import content, read_all
from tests.engine.pairs import End, Way
from tests.engine.places import OBJECTS, SECOND, SHARES, Places, kind

MOMENT = 1_600_000_000 * SECOND
BIG = 6_000_000
LINE = BIG // 4  # bytes that calls and listings take, at most
BY_ONE_LINE = tuple(name for name in (*OBJECTS, *SHARES) if not name.startswith("ftp"))  # FTP sends by others
POLICIES = dataclasses.replace(defaults_for(TransferType.PUBLISH), quarantine=".kept", max_delete_percent=100.0)
BEFORE = {
    "replaced.bin": content(BIG, 1),
    "a/replaced too": b"old",
    "deleted.bin": content(BIG, 2),
    "gone/deep/\u00fc %41 & more": b"deleted",
}


def pictured(connector: Connector, folder: str = "") -> dict[str, tuple[bytes, int] | None]:
    """Give all that stands there outside the quarantine: content and time to a second."""
    found: dict[str, tuple[bytes, int] | None] = {}
    for entry in connector.children(folder):
        path = f"{folder}/{entry.name}" if folder else entry.name
        if path == ".kept":
            continue
        if entry.kind is Kind.CONTAINER:
            found[path] = None
            found |= pictured(connector, path)
        else:
            found[path] = read_all(connector, path), entry.modified // SECOND
    return found


@pytest.mark.parametrize("name", [kind(name) for name in (*OBJECTS, *SHARES)])
def test_what_a_run_replaced_and_deleted_is_kept_on_the_server_and_put_back(
    database: Database, places: Places, tmp_path: Path, name: str
) -> None:
    source = tmp_path / "source"
    (source / "a").mkdir(parents=True)
    for path in ("replaced.bin", "a/replaced too", "new"):
        (source / path).write_bytes(b"new content")
    place = places.new(name)
    with closing(open_connection(place.end.platform, place.end.settings, place.end.path, make=True)) as there:
        for path, data in BEFORE.items():
            folders = path.split("/")[:-1]
            for depth in range(len(folders)):
                there.make_container("/".join(folders[: depth + 1]), Facts())
            there.write(path, [data], Facts(size=len(data), modified=MOMENT))
        before = pictured(there)
        with wired(place.served.port) as wire:
            way = Way(database, End("fs", {"path": str(source)}), place.by(wire.port).end, POLICIES)
            run = way.run()
            assert (run.result, run.failed, run.transferred) == ("clean", 0, 3), run.info
            after = pictured(there)
            assert {path for path, one in after.items() if one is not None} == {"replaced.bin", "a/replaced too", "new"}
            for path, data in BEFORE.items():
                assert read_all(there, f".kept/{run.id}/{path}") == data
            with database.begin() as tx:
                made = queue_undo(tx, way.job, run, "test", verb="undo")
            with way.engine() as engine:
                undone = way.wait(engine, made.id)
            assert (undone.state, undone.failed) == ("complete", 0), undone.info
            if name in BY_ONE_LINE:
                assert wire.passed < LINE, "content is kept and put back inside the server"
        assert pictured(there) == before | {"new": after["new"]}, "what the run only added stays"
