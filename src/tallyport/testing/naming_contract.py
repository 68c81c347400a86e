"""The contract of names: whatever is a name is kept as it is, or refused."""

import pytest

from tallyport.connectors.protocol import (
    Connector,
    Facts,
)
from tallyport.domain.errors import ErrorKind
from tallyport.domain.paths import from_bytes, join
from tallyport.testing.contract_ground import ContractGround
from tallyport.testing.contract_words import (
    needs,
    refused,
    slices,
)
from tallyport.testing.strategies import is_taken
from tallyport.testing.worlds import read_all

AWKWARD_NAMES = {
    "leading space": " a",
    "trailing space": "a ",
    "leading dot": ".a",
    "trailing dot": "a.",
    "three dots": "...",
    "leading dash": "-rf",
    "tilde": "~",
    "star": "*.txt",
    "question mark": "what?.txt",
    "double quote": 'a"b',
    "single quote": "it's",
    "backslash": "a\\b",
    "colon": "a:b",
    "pipe and angles": "a|<b>",
    "percent code": "a%2Fb%",
    "plus, ampersand, hash": "a+b&c#d=1;2",
    "brackets": "[a]{b}(c)",
    "dollar": "$HOME `id`",
    "tab": "a\tb",
    "line feed": "a\nb",
    "carriage return": "a\rb",
    "escape": "\x1b[31mred",
    "delete": "a\x7fb",
    "composed": "caf\u00e9",
    "decomposed": "cafe\u0301",
    "Hangul": "\uac00\u1100\u1161",
    "right to left": "\u05e2\u05d1\u05e8\u05d9\u05ea.txt",
    "direction override": "\u202egpj.exe",
    "zero width": "a\u200bb",
    "byte order mark": "\ufeffa",
    "emoji": "\U0001f469\u200d\U0001f469\u200d\U0001f467.txt",
    "not a character": "a\uffff",
    "255 bytes": "n" * 251 + ".txt",
    "255 bytes of two": "\u00e9" * 127 + "x",
    "device": "con",
    "device with ending": "NUL.txt",
    "system file": "desktop.ini",
    "temporary": "a.tmp",
    "partial": ".a.part",
}

BYTE_NAMES = {
    "Latin-1": b"caf\xe9",
    "cut UTF-8": b"a\xe2\x82",
    "lone continuation": b"\x80\x81",
    "surrogate in UTF-8": b"\xed\xa0\x80",
    "overlong": b"\xc0\xaf",
}


class NamingContract(ContractGround):
    """Names are data."""

    # -- names

    @pytest.mark.parametrize("label", AWKWARD_NAMES)
    def test_an_awkward_name_is_kept_or_refused(self, connector: Connector, place: str, label: str) -> None:
        needs(label not in self.changed_names, "this server, not the platform, changes that name")
        self.check_name(connector, place, AWKWARD_NAMES[label])

    @pytest.mark.parametrize("label", BYTE_NAMES)
    def test_a_name_that_is_no_text_is_kept(self, connector: Connector, place: str, label: str) -> None:
        needs(self.names_are_bytes, "names are text on this platform")
        self.check_name(connector, place, from_bytes(BYTE_NAMES[label]))

    def check_name(self, connector: Connector, place: str, name: str) -> None:
        if not is_taken(name, connector.limits):
            with refused(ErrorKind.INVALID_NAME):
                self.put(connector, join(place, name))
            with refused(ErrorKind.INVALID_NAME):
                connector.make_container(join(place, name), Facts())
            assert list(connector.children(place)) == []
            return
        self.put(connector, join(place, name), b"awkward")
        connector.make_container(join(place, "box"), Facts())
        connector.make_container(join(place, f"box/{name}"), Facts())
        self.put(connector, join(place, f"box/{name}/{name}"), b"below")
        if not connector.limits.normalises_names:
            assert self.names(connector, place, [name, "box"]) == {name, "box"}
            assert self.names(connector, join(place, "box"), [name]) == {name}
        assert read_all(connector, join(place, name)) == b"awkward"
        assert read_all(connector, join(place, f"box/{name}/{name}")) == b"below"
        connector.delete(join(place, name))
        assert self.names(connector, place, ["box"]) == {"box"}

    def test_both_normal_forms_of_a_name_are_two_names(self, connector: Connector, place: str) -> None:
        needs(not connector.limits.normalises_names, "the platform normalises names")
        self.put(connector, join(place, "caf\u00e9"), b"composed")
        self.put(connector, join(place, "cafe\u0301"), b"decomposed")
        wanted = {"caf\u00e9", "cafe\u0301"}
        assert self.names(connector, place, wanted) == wanted
        assert read_all(connector, join(place, "caf\u00e9")) == b"composed"
        assert read_all(connector, join(place, "cafe\u0301")) == b"decomposed"

    def test_case_makes_a_name_only_where_the_platform_says_so(self, connector: Connector, place: str) -> None:
        self.put(connector, join(place, "Name"), b"upper")
        self.put(connector, join(place, "name"), b"lower")
        if connector.limits.case_sensitive:
            assert self.names(connector, place, ["Name", "name"]) == {"Name", "name"}
            assert read_all(connector, join(place, "Name")) == b"upper"
        else:
            found = self.listed(connector, place, lambda found: len(found) == 1)
            assert [name.lower() for name in found] == ["name"]
            assert read_all(connector, join(place, "NAME")) == b"lower"

    def test_a_name_longer_than_the_limit_is_refused(self, connector: Connector, place: str) -> None:
        with refused(ErrorKind.INVALID_NAME):
            self.put(connector, join(place, "n" * (connector.limits.max_name + 1)))
        assert list(connector.children(place)) == []

    def test_a_name_of_the_full_length_is_taken(self, connector: Connector, place: str) -> None:
        name = "n" * connector.limits.max_name
        if self.longest_name is not None:
            name = name[: self.longest_name]
        if connector.limits.max_path is not None:  # here, that is: other names are on the way
            name = name[: connector.limits.max_path - len(place) - len(self.above) - 1]
        self.put(connector, join(place, name))
        assert self.names(connector, place, [name]) == {name}

    def test_a_deep_path_is_reached(self, connector: Connector, place: str) -> None:
        path = place
        for _ in range(20):
            path = join(path, "deeper")
            connector.make_container(path, Facts())
        self.put(connector, join(path, "bottom"), b"deep")
        assert read_all(connector, join(path, "bottom")) == b"deep"

    def test_a_file_larger_than_the_limit_is_refused(self, connector: Connector, place: str) -> None:
        most = connector.limits.max_size
        needs(most is not None and most <= 64 * 1024 * 1024, "the limit is too far away")
        data = bytes((most or 0) + 1)
        for facts in (Facts(), Facts(size=len(data))):
            with refused(ErrorKind.TOO_LARGE):
                connector.write(join(place, "a"), slices(data, 100_000), facts)
        assert list(connector.children(place)) == []

    # -- a path that goes through a file

    def test_a_file_holds_nothing(self, connector: Connector, place: str) -> None:
        needs(not connector.limits.containers_implied, "containers are there by what is in them")
        self.put(connector, join(place, "file"))
        through = join(place, "file/inside")
        assert connector.stat(through) is None
        with refused(ErrorKind.NOT_FOUND):
            read_all(connector, through)
        with refused(ErrorKind.NOT_FOUND, ErrorKind.ALREADY_EXISTS):
            self.put(connector, through)
        with refused(ErrorKind.NOT_FOUND, ErrorKind.ALREADY_EXISTS):
            connector.make_container(through, Facts())
        connector.delete(through)
        assert read_all(connector, join(place, "file")) == b"content"

    def test_a_write_into_a_missing_container_is_not_found(self, connector: Connector, place: str) -> None:
        needs(not connector.limits.containers_implied, "containers are there by what is in them")
        with refused(ErrorKind.NOT_FOUND):
            self.put(connector, join(place, "missing/a"))
        assert connector.stat(join(place, "missing")) is None
