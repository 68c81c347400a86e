"""What a signature says of a listing that is not as it was."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tallyport.domain.entries import Entry, Kind
from tallyport.engine import signature
from tallyport.engine.listing_local import LocalListing
from tallyport.engine.opened import Opened
from tallyport.engine.signature import changes_since, is_as_signed, sign
from tallyport.engine.work import VisitWork


class Place:
    """A folder on both sides, as far as a signature looks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def listing(self) -> LocalListing:
        fd = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        return LocalListing(fd, "")

    def identity(self, *, has_containers: bool) -> bytes:
        return b"the same folder"

    def opened(self) -> Opened:
        work = VisitWork(1, 1, "", "", False, False, False, None)
        visit = Opened(work, self)  # type: ignore[arg-type]
        visit.container = Entry("", Kind.CONTAINER)
        visit.listing = self.listing()
        return visit


@pytest.fixture
def place(tmp_path: Path) -> Place:
    for number in range(6):
        (tmp_path / f"{number}.txt").write_text(str(number))
    (tmp_path / "sub").mkdir()
    return Place(tmp_path)


def test_a_listing_that_is_as_it_was_is_recognised_with_its_totals(place: Place) -> None:
    signed = sign(place.opened(), b"salt")
    again = place.opened()
    assert again.listing is not None
    assert is_as_signed(again, again.listing, signed, b"salt")
    assert (again.unchanged, again.s_files, again.s_bytes) == (6, 6, 6)
    assert again.children == [("sub", "sub", False, 0)]


def test_what_is_new_changed_and_gone_is_told(place: Place) -> None:
    signed = sign(place.opened(), b"salt")
    (place.folder / "2.txt").write_text("other")
    (place.folder / "3.txt").unlink()
    (place.folder / "7.txt").write_text("new")
    (place.folder / "sub" / "below.txt").write_text("no matter: it has a visit of its own")
    listing = place.listing()
    assert not is_as_signed(place.opened(), listing, signed, b"salt")
    changes = changes_since(listing, signed, b"salt")
    assert changes is not None
    assert [entry.name for entry in listing.some(changes.positions)] == ["2.txt", "7.txt"]
    assert changes.gone == ["3.txt"]


def test_what_changed_under_the_same_names_is_told(place: Place) -> None:
    signed = sign(place.opened(), b"salt")
    (place.folder / "5.txt").write_text("other")
    listing = place.listing()
    changes = changes_since(listing, signed, b"salt")
    assert changes is not None
    assert [entry.name for entry in listing.some(changes.positions)] == ["5.txt"]
    assert changes.gone == []


def test_what_was_signed_is_recognised_by_every_process(place: Place) -> None:
    """A mover of tomorrow hashes as that of today did, although Python hashes texts anew in each process."""
    program = (
        "import os, sys\n"
        "from tallyport.engine.listing_local import LocalListing\n"
        "listing = LocalListing(os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECTORY), '')\n"
        "print(listing.digest().hex(), listing.marks().tolist())"
    )
    for seed in ("1", "2"):
        said = subprocess.run(
            [sys.executable, "-c", program, str(place.folder)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        listing = place.listing()
        assert said == f"{listing.digest().hex()} {listing.marks().tolist()}\n"


def test_a_file_in_the_place_of_a_folder_is_a_change(place: Place) -> None:
    signed = sign(place.opened(), b"salt")
    (place.folder / "sub").rmdir()
    (place.folder / "sub").write_text("a file now")
    listing = place.listing()
    changes = changes_since(listing, signed, b"salt")
    assert changes is not None
    assert [entry.name for entry in listing.some(changes.positions)] == ["sub"]
    assert changes.gone == []


def test_what_the_rules_left_out_is_looked_at_each_time(place: Place) -> None:
    visit = place.opened()
    visit.left.add("4.txt")
    listing = place.listing()
    changes = changes_since(listing, sign(visit, b"salt"), b"salt")
    assert changes is not None
    assert [entry.name for entry in listing.some(changes.positions)] == ["4.txt"]


def test_under_other_rules_nothing_is_known(place: Place) -> None:
    signed = sign(place.opened(), b"salt")
    assert changes_since(place.listing(), signed, b"other salt") is None
    assert changes_since(place.listing(), signed[:32], b"salt") is None
    assert changes_since(place.listing(), signed[:-3], b"salt") is None


def test_a_huge_folder_is_signed_without_its_listing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signature, "MOST", 5)
    signed = sign(place.opened(), b"salt")
    assert len(signed) == 32
    listing = place.listing()
    assert is_as_signed(place.opened(), listing, signed, b"salt")
    assert changes_since(listing, signed, b"salt") is None
