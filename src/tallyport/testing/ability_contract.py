"""The part of the contract that is about optional abilities; ``connector_contract.py`` holds the rest of it."""

import os
import uuid
from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from tallyport.connectors import hashing
from tallyport.connectors.bunches import read_many
from tallyport.connectors.protocol import (
    Connector,
    Copies,
    Facts,
    Glimpses,
    Grants,
    Pages,
    Pins,
    Precondition,
    Properties,
    SmallRead,
    Uploads,
)
from tallyport.domain.access import Access, AccessRight, Grant, Principal, PrincipalKind
from tallyport.domain.entries import Entry, Kind, fingerprint
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.paths import join
from tallyport.testing.contract_words import (
    ABSENT,
    SECOND,
    able,
    assert_about,
    breaking,
    needs,
    quiet,
    refused,
    slices,
    stat,
    together,
)
from tallyport.testing.version_contract import VersionContract
from tallyport.testing.worlds import content, read_all

TAIL = 12_345  # bytes of the last part of an upload


class AbilityContract(VersionContract):
    """What a connector keeps that can more than it must."""

    locks_open_files: ClassVar[bool] = False  # what somebody reads cannot be replaced meanwhile
    upload_part: ClassVar[int | None] = None  # bytes of a part of an upload; None: the least that is allowed
    changed_properties: ClassVar[frozenset[str]] = frozenset()  # names of values that this server alone spoils
    someone: ClassVar[Principal | None] = None  # whom access can be given to, besides everyone

    # -- pages

    def pages(self, connector: Connector, path: str) -> list[list[Entry]]:
        """Go through all pages, each from a cursor that was stored."""
        paged = able(connector, Pages)
        found: list[list[Entry]] = []
        cursor: str | None = None
        while True:
            page = paged.page(path, cursor)
            found.append(list(page.entries))
            if page.cursor is None:
                return found
            assert len(page.cursor) < 10_000
            cursor = page.cursor.encode().decode()

    def fill(self, connector: Connector, place: str, names: Sequence[str]) -> None:
        def write(name: str) -> Entry:
            return connector.write(join(place, name), [], Facts(size=0))

        for start in range(0, len(names), 8):
            together([partial(write, name) for name in names[start : start + 8]])

    def test_pages_give_each_entry_once(self, connector: Connector, place: str) -> None:
        able(connector, Pages)
        wanted = [f"n{number:04}" for number in range(250)]
        self.fill(connector, place, wanted)
        connector.make_container(join(place, "box"), Facts())
        given = [entry.name for page in self.pages(connector, place) for entry in page]
        assert sorted(given) == ["box", *wanted]

    def test_pages_give_the_same_entries_as_a_listing(self, connector: Connector, place: str) -> None:
        able(connector, Pages)
        connector.write(join(place, "a"), [b"content"], Facts(size=7, modified=5 * SECOND))
        connector.make_container(join(place, "box"), Facts())
        given = {entry.name: entry for page in self.pages(connector, place) for entry in page}
        assert given == {entry.name: entry for entry in connector.children(place)}

    def test_an_empty_container_has_one_empty_page(self, connector: Connector, place: str) -> None:
        able(connector, Pages)
        assert self.pages(connector, place) == [[]]

    def test_the_pages_of_what_is_missing_are_not_found(self, connector: Connector, place: str) -> None:
        paged = able(connector, Pages)
        with refused(ErrorKind.NOT_FOUND):
            paged.page(join(place, "nothing"))

    def test_a_cursor_holds_after_what_was_given_is_deleted(self, connector: Connector, place: str) -> None:
        paged = able(connector, Pages)
        wanted = [f"n{number:04}" for number in range(250)]
        self.fill(connector, place, wanted)
        first = paged.page(place)
        needs(first.cursor is not None, "one page holds them all")
        for entry in first.entries[:5]:
            connector.delete(join(place, entry.name))
        given = [entry.name for entry in first.entries]
        cursor = first.cursor
        while cursor is not None:
            page = paged.page(place, cursor)
            given.extend(entry.name for entry in page.entries)
            cursor = page.cursor
        assert sorted(given) == wanted

    # -- glimpses

    def test_glimpses_are_of_the_children_with_their_sizes_and_tags(self, connector: Connector, place: str) -> None:
        able(connector, Glimpses)
        connector.write(join(place, "a"), [b"content"], Facts(size=7, modified=5 * SECOND))
        connector.write(join(place, "empty"), [], Facts(size=0, modified=6 * SECOND))
        connector.make_container(join(place, "box"), Facts())

        def shown(entry: Entry) -> tuple[Kind, int, bytes]:
            return entry.kind, entry.size, entry.tag

        glimpsed, whole = (
            {entry.name: shown(entry) for entry in found}
            for found in (able(connector, Glimpses).glimpses(place), connector.children(place))
        )
        assert glimpsed == whole
        assert set(whole) == {"a", "empty", "box"}

    def test_glimpses_of_what_is_missing_are_not_found(self, connector: Connector, place: str) -> None:
        with refused(ErrorKind.NOT_FOUND):
            list(able(connector, Glimpses).glimpses(join(place, "nothing")))

    def test_several_are_seen_as_each_of_them_is(self, connector: Connector, place: str) -> None:
        able(connector, Glimpses)
        paths = [join(place, name) for name in ("b", "nothing", "a", "box")]
        for number, path in enumerate(paths[::2]):
            connector.write(path, [b"content"], Facts(size=7, modified=(5 + number) * SECOND))
        connector.make_container(paths[3], Facts())
        b, nothing, a, box = able(connector, Glimpses).look_many(paths)
        assert (b, a) == (stat(connector, paths[0]), stat(connector, paths[2]))
        assert nothing is box is None
        assert list(able(connector, Glimpses).look_many([])) == []

    def test_a_glimpse_shows_a_change_of_content(self, connector: Connector, place: str) -> None:
        able(connector, Glimpses)
        shown = []
        for data in (b"one", b"two"):
            connector.write(join(place, "a"), [data], Facts(size=3, modified=5 * SECOND))
            (entry,) = able(connector, Glimpses).glimpses(place)
            shown.append(fingerprint(entry))
        assert shown[0] != shown[1]

    def test_a_glimpse_shows_a_change_of_what_goes_with_content(self, connector: Connector, place: str) -> None:
        connector.write(join(place, "a"), [b"content"], Facts(size=7, modified=5 * SECOND))
        (before,) = able(connector, Glimpses).glimpses(place)
        needs(before.glimpsed, "a listing shows all of an entry")
        able(connector, Properties).set_properties(join(place, "a"), {"colour": b"red"})
        (after,) = able(connector, Glimpses).glimpses(place)
        assert fingerprint(after) != fingerprint(before)

    def test_what_was_glimpsed_is_read_together_with_its_entry(self, connector: Connector, place: str) -> None:
        able(connector, Glimpses)
        for number in range(5):
            path = join(place, f"n{number}")
            connector.write(path, [b"content"], Facts(size=7, modified=(5 + number) * SECOND))
        glimpsed = list(able(connector, Glimpses).glimpses(place))
        reads = [SmallRead(join(place, entry.name), entry, entry.name) for entry in glimpsed]
        found = [one for one in read_many(connector, reads) if one is not None]
        assert len(found) == 5
        for read, data in found:
            assert data == b"content"
            assert read.entry == stat(connector, read.path)

    def test_what_was_replaced_since_it_was_glimpsed_is_not_read(self, connector: Connector, place: str) -> None:
        connector.write(join(place, "a"), [b"old"], Facts(size=3))
        connector.write(join(place, "b"), [b"old"], Facts(size=3))
        glimpsed = {entry.name: entry for entry in able(connector, Glimpses).glimpses(place)}
        connector.write(join(place, "a"), [b"new"], Facts(size=3))
        connector.delete(join(place, "b"))
        reads = [SmallRead(join(place, name), glimpsed[name]) for name in "ab"]
        for one in read_many(connector, reads):
            assert one is not None
            assert isinstance(one[1], TallyportError)
            assert one[1].kind is ErrorKind.CHANGED_DURING_COPY

    # -- one content and no other

    def test_the_content_of_an_entry_is_read(self, connector: Connector, place: str) -> None:
        pins = able(connector, Pins)
        entry = connector.write(join(place, "a"), [b"content"], Facts(size=7))
        with pins.read_entry(join(place, "a"), entry, offset=2, length=3) as chunks:
            assert b"".join(chunks) == b"nte"

    def test_the_content_of_an_entry_that_was_replaced_is_not_read(self, connector: Connector, place: str) -> None:
        pins = able(connector, Pins)
        entry = connector.write(join(place, "a"), [b"old"], Facts(size=3))
        connector.write(join(place, "a"), [b"new"], Facts(size=3))
        with refused(ErrorKind.CHANGED_DURING_COPY), pins.read_entry(join(place, "a"), entry) as chunks:
            b"".join(chunks)

    def test_the_content_of_an_entry_that_is_gone_is_not_read(self, connector: Connector, place: str) -> None:
        pins = able(connector, Pins)
        entry = connector.write(join(place, "a"), [b"old"], Facts(size=3))
        connector.delete(join(place, "a"))
        with refused(ErrorKind.CHANGED_DURING_COPY), pins.read_entry(join(place, "a"), entry) as chunks:
            b"".join(chunks)

    def test_content_replaced_while_it_is_read_is_never_mixed(self, connector: Connector, place: str) -> None:
        pins = able(connector, Pins)
        size = 3 * 1024 * 1024
        entry = connector.write(join(place, "a"), [b"o" * size], Facts(size=size))
        got = b""

        def read() -> None:
            nonlocal got
            with pins.read_entry(join(place, "a"), entry) as chunks:
                got = next(chunks)
                connector.write(join(place, "a"), [b"n" * size], Facts(size=size))
                got += b"".join(chunks)

        outcome = quiet(read)
        kinds = {ErrorKind.CHANGED_DURING_COPY} | ({ErrorKind.LOCKED} if self.locks_open_files else set())
        assert outcome is None or outcome.kind in kinds
        assert set(got) <= {ord("o")}

    # -- copies inside

    def test_a_copy_has_content_and_facts(self, connector: Connector, place: str) -> None:
        copies = able(connector, Copies)
        before = connector.write(join(place, "a"), [b"content"], Facts(size=7, modified=7 * SECOND))
        entry = copies.copy(join(place, "a"), join(place, "b"), Facts(), when=ABSENT)
        assert (entry.name, entry.size, entry.modified) == ("b", 7, before.modified)
        assert entry == stat(connector, join(place, "b"))
        assert read_all(connector, join(place, "b")) == read_all(connector, join(place, "a")) == b"content"

    def test_a_copy_takes_the_facts_it_is_given(self, connector: Connector, place: str) -> None:
        copies = able(connector, Copies)
        needs(self.keeps_times, "the platform sets times itself")
        connector.write(join(place, "a"), [b"content"], Facts(size=7, modified=7 * SECOND))
        entry = copies.copy(join(place, "a"), join(place, "b"), Facts(modified=9 * SECOND))
        assert_about(entry.modified, 9 * SECOND, connector.limits)

    def test_a_copy_that_must_be_new_refuses_a_taken_name(self, connector: Connector, place: str) -> None:
        copies = able(connector, Copies)
        connector.write(join(place, "a"), [b"content"], Facts(size=7))
        connector.write(join(place, "b"), [b"old"], Facts(size=3))
        with refused(ErrorKind.ALREADY_EXISTS):
            copies.copy(join(place, "a"), join(place, "b"), Facts(), when=ABSENT)
        assert read_all(connector, join(place, "b")) == b"old"

    def test_a_copy_over_a_known_entry_refuses_another(self, connector: Connector, place: str) -> None:
        copies = able(connector, Copies)
        connector.write(join(place, "a"), [b"content"], Facts(size=7))
        seen = connector.write(join(place, "b"), [b"old"], Facts(size=3))
        connector.write(join(place, "b"), [b"other"], Facts(size=5))
        with refused(ErrorKind.ALREADY_EXISTS):
            copies.copy(join(place, "a"), join(place, "b"), Facts(), when=Precondition(entry=seen))
        assert read_all(connector, join(place, "b")) == b"other"

    def test_a_copy_of_nothing_in_it_is_empty(self, connector: Connector, place: str) -> None:
        copies = able(connector, Copies)
        connector.write(join(place, "a"), [], Facts(size=0))
        assert copies.copy(join(place, "a"), join(place, "b"), Facts(), when=ABSENT).size == 0

    def test_a_copy_of_what_is_missing_is_not_found(self, connector: Connector, place: str) -> None:
        copies = able(connector, Copies)
        with refused(ErrorKind.NOT_FOUND):
            copies.copy(join(place, "nothing"), join(place, "b"), Facts())
        assert connector.stat(join(place, "b")) is None

    def test_a_container_is_not_copied(self, connector: Connector, place: str) -> None:
        copies = able(connector, Copies)
        connector.make_container(join(place, "box"), Facts())
        with refused(ErrorKind.UNSUPPORTED, ErrorKind.NOT_FOUND):
            copies.copy(join(place, "box"), join(place, "b"), Facts())

    # -- uploads in parts

    def parts(self, connector: Connector, count: int = 2) -> list[bytes]:
        """Give the parts of a file, the last one short."""
        size = self.upload_part or max(connector.limits.part_min, 1024 * 1024)
        needs(size <= 64 * 1024 * 1024, "the parts are too large for a test")
        return [content(size, number) for number in range(1, count)] + [content(TAIL, 9)]

    def begin(self, connector: Connector, path: str, parts: Sequence[bytes]) -> tuple[Uploads, str, Facts]:
        uploads = able(connector, Uploads)
        facts = Facts(size=sum(map(len, parts)), modified=1_600_000_000 * SECOND + 123)
        handle = uploads.begin_upload(path, facts, token=uuid.uuid4().hex)
        assert 0 < len(handle) <= 2_000
        return uploads, handle.encode().decode(), facts

    def send(self, uploads: Uploads, path: str, handle: str, number: int, parts: Sequence[bytes]) -> bytes:
        offset = sum(map(len, parts[:number]))
        receipt = uploads.put_part(path, handle, number, offset, slices(parts[number], 1 << 20), len(parts[number]))
        assert len(receipt) <= 200
        return receipt

    def test_parts_in_any_order_make_the_whole(self, connector: Connector, place: str) -> None:
        able(connector, Uploads)
        path, parts = join(place, "big"), self.parts(connector)
        uploads, handle, facts = self.begin(connector, path, parts)
        last, first = (self.send(uploads, path, handle, number, parts) for number in (1, 0))
        assert connector.stat(path) is None
        assert list(connector.children(place)) == []
        entry = uploads.finish_upload(path, handle, [first, last], facts, when=ABSENT)
        assert (entry.kind, entry.size) == (Kind.FILE, facts.size)
        assert entry == stat(connector, path)
        assert read_all(connector, path) == b"".join(parts)

    def test_an_upload_keeps_its_time(self, connector: Connector, place: str) -> None:
        able(connector, Uploads)
        needs(self.keeps_times, "the platform sets times itself")
        path, parts = join(place, "big"), self.parts(connector, 1)
        uploads, handle, facts = self.begin(connector, path, parts)
        receipt = self.send(uploads, path, handle, 0, parts)
        entry = uploads.finish_upload(path, handle, [receipt], facts)
        assert_about(entry.modified, facts.modified or 0, connector.limits)

    def test_a_part_sent_again_replaces_the_first(self, connector: Connector, place: str) -> None:
        able(connector, Uploads)
        path, parts = join(place, "big"), self.parts(connector)
        uploads, handle, facts = self.begin(connector, path, parts)
        wrong = [bytes(len(parts[0])), parts[1]]
        self.send(uploads, path, handle, 0, wrong)
        receipts = [self.send(uploads, path, handle, number, parts) for number in (0, 1)]
        uploads.finish_upload(path, handle, receipts, facts)
        assert hashing.digest(read_all(connector, path)) == hashing.digest(b"".join(parts))

    def test_parts_may_come_from_several_threads(self, connector: Connector, place: str) -> None:
        able(connector, Uploads)
        path, parts = join(place, "big"), self.parts(connector, 3)
        uploads, handle, facts = self.begin(connector, path, parts)
        receipts = together([partial(self.send, uploads, path, handle, number, parts) for number in range(3)])
        uploads.finish_upload(path, handle, receipts, facts)
        assert read_all(connector, path) == b"".join(parts)

    def test_a_part_of_another_size_is_not_stored(self, connector: Connector, place: str) -> None:
        able(connector, Uploads)
        path, parts = join(place, "big"), self.parts(connector, 1)
        uploads, handle, _ = self.begin(connector, path, parts)
        for announced in (TAIL - 1, TAIL + 1):
            with refused(ErrorKind.CHANGED_DURING_COPY, ErrorKind.CORRUPT):
                uploads.put_part(path, handle, 0, 0, [parts[0]], announced)
        uploads.abandon_upload(path, handle)

    def test_a_source_that_fails_within_a_part_leaves_the_upload_usable(self, connector: Connector, place: str) -> None:
        able(connector, Uploads)
        path, parts = join(place, "big"), self.parts(connector, 1)
        uploads, handle, facts = self.begin(connector, path, parts)
        broken = TallyportError(ErrorKind.UNAVAILABLE, "the source went away", path="a", operation="read")
        with refused(ErrorKind.UNAVAILABLE):
            uploads.put_part(path, handle, 0, 0, breaking(3, 1000, broken), TAIL)
        receipt = self.send(uploads, path, handle, 0, parts)
        uploads.finish_upload(path, handle, [receipt], facts)
        assert read_all(connector, path) == parts[0]

    def test_an_upload_that_must_be_new_refuses_a_name_taken_meanwhile(self, connector: Connector, place: str) -> None:
        able(connector, Uploads)
        path, parts = join(place, "big"), self.parts(connector, 1)
        uploads, handle, facts = self.begin(connector, path, parts)
        receipt = self.send(uploads, path, handle, 0, parts)
        connector.write(path, [b"quick"], Facts(size=5))
        with refused(ErrorKind.ALREADY_EXISTS):
            uploads.finish_upload(path, handle, [receipt], facts, when=ABSENT)
        assert read_all(connector, path) == b"quick"
        uploads.abandon_upload(path, handle)
        assert [entry.name for entry in connector.children(place)] == ["big"]

    def test_an_upload_over_a_known_entry_replaces_it_and_refuses_another(
        self, connector: Connector, place: str
    ) -> None:
        able(connector, Uploads)
        path, parts = join(place, "big"), self.parts(connector, 1)
        seen = connector.write(path, [b"old"], Facts(size=3))
        uploads, handle, facts = self.begin(connector, path, parts)
        receipt = self.send(uploads, path, handle, 0, parts)
        assert read_all(connector, path) == b"old"
        after = uploads.finish_upload(path, handle, [receipt], facts, when=Precondition(entry=seen))
        assert fingerprint(after) != fingerprint(seen)
        uploads, handle, facts = self.begin(connector, path, parts)
        receipt = self.send(uploads, path, handle, 0, parts)
        with refused(ErrorKind.ALREADY_EXISTS):
            uploads.finish_upload(path, handle, [receipt], facts, when=Precondition(entry=seen))
        assert stat(connector, path) == after

    def test_an_abandoned_upload_leaves_nothing_and_cannot_be_finished(self, connector: Connector, place: str) -> None:
        able(connector, Uploads)
        path, parts = join(place, "big"), self.parts(connector, 1)
        uploads, handle, facts = self.begin(connector, path, parts)
        receipt = self.send(uploads, path, handle, 0, parts)
        uploads.abandon_upload(path, handle)
        uploads.abandon_upload(path, handle)
        assert connector.stat(path) is None
        assert list(connector.children(place)) == []
        with refused(ErrorKind.NOT_FOUND):
            uploads.finish_upload(path, handle, [receipt], facts)

    def test_an_upload_without_one_of_its_parts_is_not_finished(self, connector: Connector, place: str) -> None:
        able(connector, Uploads)
        path, parts = join(place, "big"), self.parts(connector)
        uploads, handle, facts = self.begin(connector, path, parts)
        receipt = self.send(uploads, path, handle, 0, parts)
        with refused():
            uploads.finish_upload(path, handle, [receipt, receipt], facts, when=ABSENT)
        uploads.abandon_upload(path, handle)

    # -- named values

    def test_named_values_come_back(self, connector: Connector, place: str) -> None:
        properties = able(connector, Properties)
        connector.write(join(place, "a"), [b"content"], Facts(size=7, modified=7 * SECOND))
        values = {
            "plain": b"value",
            "Upper-Case": b"kept",
            "caf\u00e9": "\u00fc".encode(),
            "user.mime_type": b"text/plain",
            "bytes": bytes(range(256)),
            "spaces": b"  both ends  ",
            "nothing": b"",
        }
        values = {name: value for name, value in values.items() if name not in self.changed_properties}
        before = stat(connector, join(place, "a"))
        given = properties.set_properties(join(place, "a"), values)
        assert dict(given) == values
        assert dict(properties.properties(join(place, "a"))) == values
        after = stat(connector, join(place, "a"))
        assert (after.size, after.modified, after.hash) == (before.size, before.modified, before.hash)
        assert read_all(connector, join(place, "a")) == b"content"

    def test_a_value_that_is_none_is_removed_and_others_stay(self, connector: Connector, place: str) -> None:
        properties = able(connector, Properties)
        connector.write(join(place, "a"), [b"content"], Facts(size=7))
        properties.set_properties(join(place, "a"), {"one": b"1", "Two": b"2", "three": b"3"})
        given = properties.set_properties(join(place, "a"), {"one": None, "three": b"4", "never was": None})
        assert dict(given) == {"Two": b"2", "three": b"4"}

    def test_an_item_without_values_has_none(self, connector: Connector, place: str) -> None:
        properties = able(connector, Properties)
        connector.write(join(place, "a"), [b"content"], Facts(size=7, modified=7 * SECOND))
        assert dict(properties.properties(join(place, "a"))) == {}

    def test_a_copy_keeps_named_values(self, connector: Connector, place: str) -> None:
        properties, copies = able(connector, Properties), able(connector, Copies)
        connector.write(join(place, "a"), [b"content"], Facts(size=7))
        properties.set_properties(join(place, "a"), {"one": b"1", "Two": b"2"})
        copies.copy(join(place, "a"), join(place, "b"), Facts())
        assert dict(properties.properties(join(place, "b"))) == {"one": b"1", "Two": b"2"}

    def test_the_values_of_what_is_missing_are_not_found(self, connector: Connector, place: str) -> None:
        properties = able(connector, Properties)
        with refused(ErrorKind.NOT_FOUND):
            properties.properties(join(place, "nothing"))
        with refused(ErrorKind.NOT_FOUND):
            properties.set_properties(join(place, "nothing"), {"a": b"b"})

    def test_values_that_are_too_many_are_refused_and_change_nothing(self, connector: Connector, place: str) -> None:
        properties = able(connector, Properties)
        connector.write(join(place, "a"), [b"content"], Facts(size=7))
        properties.set_properties(join(place, "a"), {"one": b"1"})
        outcome = quiet(lambda: properties.set_properties(join(place, "a"), {"big": os.urandom(1_000_000)}))
        if isinstance(outcome, TallyportError):
            assert outcome.kind in (ErrorKind.UNSUPPORTED, ErrorKind.TOO_LARGE, ErrorKind.NO_SPACE)
            assert dict(properties.properties(join(place, "a"))) == {"one": b"1"}

    # -- grants

    def test_access_is_read_and_read_again_the_same(self, connector: Connector, place: str) -> None:
        grants = able(connector, Grants)
        connector.write(join(place, "a"), [b"content"], Facts(size=7))
        access = grants.access(join(place, "a"))
        assert isinstance(access, Access)
        assert grants.access(join(place, "a")) == access

    def test_a_grant_is_added_and_others_stay(self, connector: Connector, place: str) -> None:
        grants = able(connector, Grants)
        needs(self.someone is not None, "the test class names nobody")
        assert self.someone is not None
        connector.write(join(place, "a"), [b"content"], Facts(size=7))
        before = grants.access(join(place, "a"))
        wanted = Grant(self.someone, frozenset({AccessRight.READ}))
        given = grants.set_access(join(place, "a"), Access(grants=(wanted,)))
        assert given == grants.access(join(place, "a"))
        held = {grant.principal.id: grant.rights for grant in given.grants if not grant.deny}
        assert AccessRight.READ in held[self.someone.id]
        for grant in before.grants:
            assert grant.rights <= held.get(grant.principal.id, frozenset())

    def test_what_a_grant_does_not_say_is_not_given(self, connector: Connector, place: str) -> None:
        grants = able(connector, Grants)
        needs(self.someone is not None, "the test class names nobody")
        assert self.someone is not None
        connector.write(join(place, "a"), [b"content"], Facts(size=7))
        wanted = Grant(self.someone, frozenset({AccessRight.READ}))
        given = grants.set_access(join(place, "a"), Access(grants=(wanted,)))
        rights = next(grant.rights for grant in given.grants if grant.principal.id == self.someone.id)
        assert not rights & {AccessRight.WRITE_ACCESS, AccessRight.OWN, AccessRight.DELETE}

    def test_a_denial_never_becomes_a_grant(self, connector: Connector, place: str) -> None:
        grants = able(connector, Grants)
        connector.write(join(place, "a"), [b"content"], Facts(size=7))
        before = grants.access(join(place, "a"))
        everyone = Principal(PrincipalKind.EVERYONE)
        denial = Grant(everyone, frozenset({AccessRight.READ}), deny=True)
        outcome = quiet(lambda: grants.set_access(join(place, "a"), Access(grants=(denial,))))
        assert outcome is not None
        after = grants.access(join(place, "a"))
        allowed = {(grant.principal, right) for grant in after.grants if not grant.deny for right in grant.rights}
        known = {(grant.principal, right) for grant in before.grants if not grant.deny for right in grant.rights}
        assert allowed <= known

    def test_others_are_taken_away_only_when_that_is_asked(self, connector: Connector, place: str) -> None:
        grants = able(connector, Grants)
        needs(self.someone is not None, "the test class names nobody")
        assert self.someone is not None
        connector.write(join(place, "a"), [b"content"], Facts(size=7))
        own = grants.access(join(place, "a"))
        grants.set_access(join(place, "a"), Access(grants=(Grant(self.someone, frozenset({AccessRight.READ})),)))
        kept = tuple(grant for grant in own.grants if grant.principal.id != self.someone.id)
        after = grants.set_access(join(place, "a"), own._replace(grants=kept), remove_others=True)
        assert self.someone.id not in {grant.principal.id for grant in after.grants if not grant.deny}
        assert read_all(connector, join(place, "a")) == b"content"

    def test_the_access_of_what_is_missing_is_not_found(self, connector: Connector, place: str) -> None:
        grants = able(connector, Grants)
        with refused(ErrorKind.NOT_FOUND):
            grants.access(join(place, "nothing"))
