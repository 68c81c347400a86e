"""Earlier contents go from server to server, oldest first, and a second run finds nothing to do."""

from __future__ import annotations

import os
import uuid
from contextlib import closing
from pathlib import Path

import pytest

from tallyport.connectors.opening import open_connection
from tallyport.connectors.protocol import Connector, Facts, Versions
from tallyport.connectors.registry import platform
from tallyport.connectors.s3_sdk import client_of
from tallyport.store.database import Database
from tests.engine.pairs import End, Way
from tests.engine.places import SECOND, Places, kind

TEXTS = (b"one", b"two, and more", b"three")
START = 1_700_000_000 * SECOND
DAY = 86_400 * SECOND
NAME = "letter \u00fc.txt"


def kept(places: Places, name: str) -> End:
    """Give a place on a server that keeps versions."""
    place = places.new(name)
    if name == "azure":
        return place.by(place.served.port, versions="snapshots").end
    if name == "s3":
        bucket = f"kept-{uuid.uuid4().hex[:8]}"
        client = client_of(platform("s3").read_settings(dict(place.end.settings)))
        client.create_bucket(Bucket=bucket)
        client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        return place.by(place.served.port, bucket=bucket).end
    return place.end


def opened(end: End) -> Connector:
    return open_connection(end.platform, end.settings, end.path, make=True)


def series(end: End) -> list[tuple[bytes, int]]:
    """Give all contents of the file, oldest first, and when each was made."""
    found = []
    with closing(opened(end)) as connector:
        assert isinstance(connector, Versions)
        for version in connector.versions(NAME):
            with connector.read_version(NAME, version.id) as chunks:
                found.append((b"".join(chunks), version.modified))
    return found


@pytest.mark.parametrize(
    ("one", "other"),
    [kind("smb", "s3"), kind("s3", "azure"), kind("azure", "gcs_kept"), kind("gcs_kept", "nextcloud"),
     kind("nextcloud", "s3")],
)  # fmt: skip
def test_every_content_arrives_oldest_first(database: Database, places: Places, one: str, other: str) -> None:
    source, there = kept(places, one), kept(places, other)
    given = [(text, START + number * DAY) for number, text in enumerate(TEXTS)]
    with closing(opened(source)) as connector:
        for text, moment in given if one != "smb" else given[-1:]:
            connector.write(NAME, [text], Facts(size=len(text), modified=moment))
    if one == "smb":
        snapshots(places, source, given[:-1])
    assert series(source) == given
    way = Way(database, source, there)
    first = way.run()
    assert (first.failed, first.transferred) == (0, 1), first.info
    assert series(there) == given
    again = way.run()
    assert (again.failed, again.writes) == (0, 0)


def snapshots(places: Places, end: End, given: list[tuple[bytes, int]], name: str = NAME) -> None:
    """Have the share show earlier contents, as previous versions of Windows do."""
    root = Path(places.folders["smb"], ".snapshots")
    for number, (text, moment) in enumerate(given):
        path = root / f"@GMT-2026.01.0{number + 2}-03.04.05" / end.path[1:] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
        os.utime(path, ns=(moment, moment))
