"""Every layer keeps the face and the abilities of what it wraps, and is found again."""

from __future__ import annotations

import pytest

from tallyport.connectors.layers.layer import OPERATIONS, find, innermost
from tallyport.connectors.layers.measured import Measured
from tallyport.connectors.layers.read_only import ReadOnly
from tallyport.connectors.layers.retrying import Retrying
from tallyport.connectors.layers.throttled import Throttled
from tallyport.connectors.memory import Memory
from tallyport.connectors.memory_settings import PLAIN
from tallyport.connectors.protocol import Connector, Facts, Links, Precondition
from tallyport.domain.errors import ErrorKind
from tallyport.testing.connector_contract import refused
from tallyport.testing.worlds import picture, read_all, tree
from tests.connectors.layers.whole import WRAPPERS, Synced, Whole, abilities, every_call


@pytest.mark.parametrize("name", WRAPPERS)
def test_a_layer_has_the_abilities_of_what_it_wraps(name: str) -> None:
    for inner in (Memory(), Memory(PLAIN), Synced(), Whole(), Measured(Memory(PLAIN)), Measured(Whole())):
        layer = WRAPPERS[name](inner)
        assert isinstance(layer, Connector)
        assert abilities(layer) == abilities(inner)


@pytest.mark.parametrize("name", [name for name in WRAPPERS if name != "ReadOnly"])
def test_a_layer_passes_every_call_on(name: str) -> None:
    plain, wrapped = tree("a.txt 3b v1\nc.txt 3b v1", Whole()), tree("a.txt 3b v1\nc.txt 3b v1", Whole())
    for act in every_call(plain).values():
        act()
    calls = every_call(WRAPPERS[name](wrapped))
    assert tuple(calls) == OPERATIONS
    for act in calls.values():
        act()
    assert picture(wrapped) == picture(plain)
    assert wrapped.syncs == 1
    assert wrapped.done == plain.done
    assert read_all(wrapped, "g.txt") == b"part"


@pytest.mark.parametrize("name", [name for name in WRAPPERS if name != "ReadOnly"])
def test_a_layer_passes_preconditions_and_expectations_on(name: str) -> None:
    connector = WRAPPERS[name](tree("a.txt 3b v1"))
    seen = connector.stat("a.txt")
    tree("a.txt 4b v1", connector)
    with refused(ErrorKind.ALREADY_EXISTS):
        connector.write("a.txt", [], Facts(), when=Precondition(absent=True))
    with refused(ErrorKind.CHANGED_DURING_COPY):
        connector.delete("a.txt", expect=seen)
    assert isinstance(connector, Links)
    with refused(ErrorKind.ALREADY_EXISTS):
        connector.make_symlink("a.txt", "b", Facts(), when=Precondition(absent=True))
    assert read_all(connector, "a.txt", offset=1, length=2) == read_all(tree("a.txt 3b v1"), "a.txt")[1:]


@pytest.mark.parametrize("name", WRAPPERS)
def test_a_layer_shows_limits_and_location_and_closes_what_it_wraps(name: str) -> None:
    class Closing(Memory):
        closed = 0

        def close(self) -> None:
            self.closed += 1

    inner = Closing()
    layer = WRAPPERS[name](inner)
    assert (layer.limits, layer.location) == (inner.limits, inner.location)
    layer.close()
    assert inner.closed == 1


@pytest.mark.parametrize("name", WRAPPERS)
def test_a_layer_gives_an_error_on_as_it_is(name: str) -> None:
    layer = WRAPPERS[name](Memory())
    with refused(ErrorKind.NOT_FOUND):
        list(layer.children("nothing"))
    with refused(ErrorKind.NOT_FOUND):
        read_all(layer, "nothing")


def test_a_layer_is_found_again_and_so_is_the_connector() -> None:
    inner = Memory()
    measured = Measured(inner)
    connector = ReadOnly(Retrying(measured))
    assert find(connector, Measured) is measured
    assert find(connector, Throttled) is None
    assert innermost(connector) is inner


def test_layers_of_one_ability_set_share_a_class() -> None:
    assert type(Measured(Memory())) is type(Measured(Memory()))
    assert type(Measured(Memory())) is not type(Measured(Memory(PLAIN)))
    assert type(Measured(Memory())).__name__ == "Measured"
