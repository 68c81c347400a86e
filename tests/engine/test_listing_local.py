"""A local folder listed while it changes: what stands in it all the time is always listed."""

from __future__ import annotations

import os

import pytest

from tallyport.engine import listing_local
from tallyport.engine.listing_local import LocalListing


@pytest.mark.parametrize("doomed", [0, 5, 9])
def test_what_vanishes_while_a_folder_is_listed_takes_nothing_else_along(tmp_path, monkeypatch, doomed):
    for number in range(10):
        (tmp_path / f"file-{number}").write_text("x")
    real = listing_local._stat

    def too_late(items):
        os.unlink(tmp_path / f"file-{doomed}")
        return real(items)

    monkeypatch.setattr(listing_local, "_stat", too_late)
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        listing = LocalListing(fd, "")
    finally:
        os.close(fd)

    assert [name for name, _ in listing.stats()] == [f"file-{number}" for number in range(10) if number != doomed]
    assert listing.count == 9
