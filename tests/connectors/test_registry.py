"""Platforms are found by id, their settings are read with every problem at once, and layers go on in one order."""

from __future__ import annotations

import importlib.metadata
import sys
import types
from dataclasses import dataclass, field
from typing import Literal

import pytest

from tallyport.connectors import registry
from tallyport.connectors.layers.layer import Layer, find, innermost
from tallyport.connectors.layers.limited import Limited
from tallyport.connectors.layers.measured import Measured
from tallyport.connectors.layers.read_only import ReadOnly
from tallyport.connectors.layers.retrying import Retrying
from tallyport.connectors.layers.throttled import Bucket, Throttled
from tallyport.connectors.memory import Memory
from tallyport.connectors.memory_tree import forget
from tallyport.connectors.opening import open_connection
from tallyport.connectors.protocol import Connector, Facts
from tallyport.connectors.registry import InvalidSettings, Platform, Problem
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.testing.connector_contract import refused
from tallyport.testing.worlds import picture, tree


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One field of each type."""

    host: str = field(metadata={"help": "name of the server"})
    port: int = field(
        default=22, metadata={"help": "its port", "check": lambda port: None if port > 0 else "is no port"}
    )
    share: float | None = field(default=None, metadata={"help": "part of it"})
    safe: bool = field(default=True, metadata={"help": "encrypt"})
    style: Literal["path", "host"] = field(default="path", metadata={"help": "of addresses"})
    roots: tuple[str, ...] = field(default=(), metadata={"help": "folders"})
    password: str = field(default="", metadata={"help": "of the account", "secret": True})


@pytest.fixture
def odd(monkeypatch) -> Platform:
    """A platform with the settings above, whose connector is memory."""
    module = types.ModuleType("odd_platform")
    module.Settings = Settings  # type: ignore[attr-defined]
    module.open_odd = lambda settings, path, *, make: Memory(path=path, make=make)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "odd_platform", module)
    return Platform("odd", "Odd", "odd_platform:open_odd", extra="odd")


def problems(platform: Platform, document: dict[str, object]) -> list[Problem]:
    with pytest.raises(InvalidSettings) as caught:
        platform.read_settings(document)
    assert caught.value.kind is ErrorKind.CONFIG
    return caught.value.problems


# -- platforms


@pytest.mark.parametrize("platform_id", ["fs", "nfs", "local"])
def test_a_folder_has_several_ids(platform_id: str) -> None:
    assert registry.platform(platform_id) is registry.PLATFORMS["fs"]


@pytest.mark.parametrize("platform_id", registry.LATER)
def test_a_platform_of_a_later_version_says_so(platform_id: str) -> None:
    with pytest.raises(TallyportError, match=f"platform '{platform_id}' is not in this version") as caught:
        registry.platform(platform_id)
    assert caught.value.kind is ErrorKind.CONFIG


def test_an_unknown_platform_gets_the_list_of_those_known() -> None:
    with pytest.raises(TallyportError, match=r"no platform 'fax'; known are .*fs, .*local, memory, nfs") as caught:
        registry.platform("fax")
    assert caught.value.kind is ErrorKind.CONFIG


@pytest.mark.parametrize("platform_id", registry.PLATFORMS)
def test_every_platform_of_ours_can_be_imported_and_explains_its_settings(platform_id: str) -> None:
    platform = registry.PLATFORMS[platform_id]
    fields = platform.settings_fields()
    assert all(one.help for one in fields)
    assert {one.type for one in fields} <= {"text", "integer", "number", "boolean", "list"}


def test_no_two_platforms_share_an_id() -> None:
    ids = [one for platform in registry.PLATFORMS.values() for one in (platform.id, *platform.aliases)]
    assert len(ids) == len(set(ids))
    assert not set(ids) & set(registry.LATER)


def test_a_platform_whose_library_is_missing_says_what_to_install() -> None:
    platform = Platform("odd", "Odd", "tallyport_has_no_such_module:Odd", extra="odd")
    with pytest.raises(TallyportError, match=r"pip install 'tallyport\[odd\]'") as caught:
        platform.settings_fields()
    assert caught.value.kind is ErrorKind.CONFIG


def test_third_parties_add_platforms_and_take_none_of_ours(monkeypatch, odd: Platform) -> None:
    points = [importlib.metadata.EntryPoint(name, odd.factory, registry.GROUP) for name in ("odd", "fs", "azure_files")]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: points)
    registry._third_parties.cache_clear()
    try:
        assert registry.platform("odd").factory == odd.factory
        assert registry.platform("azure_files").factory == odd.factory
        assert registry.platform("fs") is registry.PLATFORMS["fs"]
        connector = open_connection("odd", {"host": "a"})
        assert isinstance(innermost(connector), Memory)
    finally:
        registry._third_parties.cache_clear()


# -- settings


def test_fields_are_described_in_order(odd: Platform) -> None:
    described = [(one.name, one.type, one.required, one.default) for one in odd.settings_fields()]
    assert described == [
        ("host", "text", True, None),
        ("port", "integer", False, 22),
        ("share", "number", False, None),
        ("safe", "boolean", False, True),
        ("style", "text", False, "path"),
        ("roots", "list", False, ()),
        ("password", "text", False, ""),
    ]
    by_name = {one.name: one for one in odd.settings_fields()}
    assert by_name["style"].allowed == ("path", "host")
    assert by_name["host"].help == "name of the server"
    assert [one.name for one in odd.settings_fields() if one.secret] == ["password"]


def test_a_document_becomes_settings(odd: Platform) -> None:
    document = {"host": "a", "port": 1, "share": None, "safe": False, "style": "host", "roots": ["x", "y"]}
    assert odd.read_settings(document) == Settings(
        host="a", port=1, share=None, safe=False, style="host", roots=("x", "y")
    )
    assert odd.read_settings({"host": "a"}) == Settings(host="a")
    assert odd.read_settings({"host": "a", "share": 1}) == Settings(host="a", share=1)


def test_all_problems_are_told_at_once(odd: Platform) -> None:
    document = {
        "port": "22",
        "share": True,
        "safe": 0,
        "style": "other",
        "roots": "x",
        "hots": "a",
        "password": 12345,
    }
    found = {problem.path: problem for problem in problems(odd, document)}
    assert found == {
        "hots": Problem(
            "hots", "there is no such setting", ("host", "port", "share", "safe", "style", "roots", "password")
        ),
        "host": Problem("host", "is required"),
        "port": Problem("port", "must be an integer, not '22'"),
        "share": Problem("share", "must be a number, not True"),
        "safe": Problem("safe", "must be a boolean, not 0", (False, True)),
        "style": Problem("style", "cannot be 'other'", ("path", "host")),
        "roots": Problem("roots", "must be a list, not 'x'"),
        "password": Problem("password", "must be a text, not this"),
    }


def test_a_check_of_a_field_is_asked(odd: Platform) -> None:
    assert problems(odd, {"host": "a", "port": 0}) == [Problem("port", "is no port")]


def test_null_is_a_value_only_where_absence_is(odd: Platform) -> None:
    assert [problem.path for problem in problems(odd, {"host": None, "port": None})] == ["host", "port"]


def test_the_message_names_platform_and_fields(odd: Platform) -> None:
    with pytest.raises(InvalidSettings, match="settings of platform 'odd': host: is required; port: is no port"):
        odd.read_settings({"port": 0})


def test_a_folder_is_named_by_its_absolute_path() -> None:
    fs = registry.platform("fs")
    assert [(one.name, one.type, one.required) for one in fs.settings_fields()] == [
        ("path", "text", True),
        ("versioning", "boolean", False),
    ]
    fs.read_settings({"path": "/absolute/folder"})
    for wrong in ({}, {"path": "relative"}, {"path": ""}, {"path": 1}, {"path": "/a\0b"}):
        assert [problem.path for problem in problems(fs, wrong)] == ["path"]  # type: ignore[arg-type]


# -- paths of jobs


@pytest.mark.parametrize(
    ("path", "clean"),
    [("/", ""), ("", ""), ("/a", "a"), ("/a/b c", "a/b c"), ("a/b", "a/b"), ("/a/", "a"), ("/...", "...")],
)
def test_a_path_of_a_job_becomes_a_path_of_ours(path: str, clean: str) -> None:
    assert registry.below(path) == clean


@pytest.mark.parametrize("path", ["..", "/..", "/a/../b", "/a//b", "//a", "/./a", "/a/..", "/a\0b"])
def test_a_path_cannot_leave_its_connection(path: str) -> None:
    with refused(ErrorKind.CONFIG):
        registry.below(path)
    with refused(ErrorKind.CONFIG):
        open_connection("memory", {}, path, make=True)


# -- opening


def wrapping(connector: Connector) -> list[type]:
    """Give the classes of the layers from the outside in."""
    found: list[type] = []
    while isinstance(connector, Layer):
        found.append(next(one for one in type(connector).__mro__ if one.__bases__ == (Layer,)))
        connector = connector.inner
    return found


def test_layers_go_on_in_one_order() -> None:
    connector = open_connection("memory", {}, limit=3, throttle=1000, read_only=True)
    assert wrapping(connector) == [ReadOnly, Retrying, Throttled, Limited, Measured]


def test_a_layer_that_is_not_asked_for_is_not_there() -> None:
    assert wrapping(open_connection("memory", {})) == [Retrying, Measured]
    assert wrapping(open_connection("memory", {}, measured=False)) == [Retrying]


def test_a_bucket_can_be_shared_and_changed_later() -> None:
    bucket = Bucket(None)
    one, other = (open_connection("memory", {}, throttle=bucket) for _ in range(2))
    for connector in (one, other):
        throttled = find(connector, Throttled)
        assert throttled is not None
        assert throttled.bucket is bucket


def test_a_path_is_below_the_connection() -> None:
    try:
        part = open_connection("memory", {"store": "opened"}, "/some/folder", make=True)
        tree("a.txt 3b v1", part)
        assert picture(open_connection("memory", {"store": "opened"})) == "some/folder/a.txt 3b v1"
        with refused(ErrorKind.NOT_FOUND):
            open_connection("memory", {"store": "opened"}, "/other")
    finally:
        forget("opened")


def test_a_simulation_makes_no_root() -> None:
    try:
        with refused(ErrorKind.NOT_FOUND):
            open_connection("memory", {"store": "simulated"}, "/new", make=True, read_only=True)
        assert picture(open_connection("memory", {"store": "simulated"})) == ""
    finally:
        forget("simulated")


def test_a_folder_is_opened_and_written_below(tmp_path) -> None:
    connector = open_connection("fs", {"path": str(tmp_path)}, "/inner/folder", make=True)
    tree("a.txt 3b v1\nb/c.txt 10b v2", connector)
    connector.close()
    assert (tmp_path / "inner" / "folder" / "b" / "c.txt").stat().st_size == 10
    again = open_connection("nfs", {"path": str(tmp_path)}, "/inner")
    assert picture(again) == "folder/a.txt 3b v1\nfolder/b/c.txt 10b v2"
    again.close()


def test_wrong_settings_open_nothing() -> None:
    with refused(ErrorKind.CONFIG):
        open_connection("fs", {"path": "relative"})
    with refused(ErrorKind.CONFIG):
        open_connection("azure_files", {})


def test_a_connection_that_is_opened_can_be_written() -> None:
    connector = open_connection("memory", {"case_insensitive": True, "time_precision": 1000})
    assert connector.write("a", [b"x"], Facts(modified=1999)).modified == 1000
    assert not connector.limits.case_sensitive
