"""The part of the contract that is about earlier contents: reading them, and counting them beside a listing."""

from typing import ClassVar

import pytest

from tallyport.connectors.protocol import Connector, Counts, Facts, Glimpses, Versions
from tallyport.domain.entries import Kind
from tallyport.domain.errors import ErrorKind
from tallyport.domain.paths import join
from tallyport.testing.contract_words import SECOND, able, needs, refused
from tallyport.testing.worlds import made_place


class VersionContract:
    """What a connector keeps that has earlier contents of a file."""

    keeps_times: ClassVar[bool] = True

    @pytest.fixture
    def place(self, connector: Connector) -> str:
        """Make a container for one test."""
        return made_place(connector)

    def test_contents_one_after_the_other_are_versions_oldest_first(self, connector: Connector, place: str) -> None:
        versions = able(connector, Versions)
        needs(connector.limits.versions, "this connection keeps no versions")
        path = join(place, "a")
        for number in range(3):
            connector.write(path, [b"v%d" % number], Facts(size=2, modified=(number + 1) * SECOND))
        found = versions.versions(path)
        assert len(found) == 3
        assert [one.is_current for one in found] == [False, False, True]
        assert len({one.id for one in found}) == 3
        contents = []
        for one in found:
            with versions.read_version(path, one.id) as chunks:
                contents.append(b"".join(chunks))
        assert contents == [b"v0", b"v1", b"v2"]
        if self.keeps_times:
            assert [one.modified for one in found] == [SECOND, 2 * SECOND, 3 * SECOND]

    def test_a_range_of_a_version_is_read(self, connector: Connector, place: str) -> None:
        versions = able(connector, Versions)
        needs(connector.limits.versions, "this connection keeps no versions")
        connector.write(join(place, "a"), [b"content"], Facts(size=7))
        connector.write(join(place, "a"), [b"newer"], Facts(size=5))
        oldest = versions.versions(join(place, "a"))[0]
        with versions.read_version(join(place, "a"), oldest.id, offset=3, length=2) as chunks:
            assert b"".join(chunks) == b"te"

    def test_a_file_written_once_has_one_version(self, connector: Connector, place: str) -> None:
        versions = able(connector, Versions)
        connector.write(join(place, "a"), [b"content"], Facts(size=7))
        connector.write(join(place, "ab"), [b"content"], Facts(size=7))
        (only,) = versions.versions(join(place, "a"))
        assert (only.size, only.is_current) == (7, True)

    def test_the_versions_of_what_is_missing_are_not_found(self, connector: Connector, place: str) -> None:
        versions = able(connector, Versions)
        with refused(ErrorKind.NOT_FOUND):
            versions.versions(join(place, "nothing"))

    def test_a_listing_counts_the_contents_of_each_file(self, connector: Connector, place: str) -> None:
        counts = able(connector, Counts)
        needs(connector.limits.versions, "this connection keeps no versions")
        for name, times in {"a": 1, "a b": 3, "ab": 2, "b/a": 2, "\u00e9": 2}.items():
            if "/" in name:
                connector.make_container(join(place, "b"), Facts())
            for number in range(times):
                connector.write(join(place, name), [b"%d" % number], Facts(size=1, modified=(number + 1) * SECOND))
        connector.write(join(place, "gone"), [b"content"], Facts(size=7))
        connector.delete(join(place, "gone"))
        found = {entry.name: entry.contents for entry in counts.counted(place) if entry.kind is Kind.FILE}
        assert found == {"a": 1, "a b": 3, "ab": 2, "\u00e9": 2}
        if isinstance(connector, Versions):
            assert found == {name: len(connector.versions(join(place, name))) for name in found}

    def test_a_listing_that_counts_shows_the_same_entries_as_any(self, connector: Connector, place: str) -> None:
        counts = able(connector, Counts)
        connector.make_container(join(place, "box"), Facts())
        for name in ("a", "b", "box/c", "gone/d"):
            connector.make_container(join(place, "gone"), Facts())
            connector.write(join(place, name), [b"content"], Facts(size=7, modified=SECOND))
        connector.delete(join(place, "gone/d"))
        connector.delete(join(place, "gone"))
        whole = sorted(connector.children(place))
        assert sorted(entry._replace(contents=0) for entry in counts.counted(place)) == whole
        if isinstance(connector, Glimpses):
            # The time of a glimpse may be another one each time.
            glimpsed = sorted(entry._replace(contents=0, modified=0) for entry in counts.counted(place, glimpsed=True))
            assert glimpsed == sorted(entry._replace(modified=0) for entry in connector.glimpses(place))
        assert {entry.contents for entry in counts.counted(place) if entry.kind is Kind.FILE} == {1}
        with refused(ErrorKind.NOT_FOUND):
            list(counts.counted(join(place, "nothing")))
