"""A local folder listed while it changes: what stands in it all the time is always listed."""

from __future__ import annotations

import errno
import os

import pytest

from tallyport.domain.errors import TallyportError
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


class Breaking:
    """A scan of a folder that breaks off after some entries."""

    def __init__(self, inner, most: int) -> None:
        self.inner = inner
        self.left = most

    def __enter__(self) -> Breaking:
        return self

    def __exit__(self, *_: object) -> None:
        self.inner.close()

    def __iter__(self) -> Breaking:
        return self

    def __next__(self) -> os.DirEntry[str]:
        if not self.left:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self.left -= 1
        return next(self.inner)


@pytest.mark.parametrize("most", [0, 3, 9])
def test_a_listing_that_breaks_off_is_no_listing(tmp_path, monkeypatch, most):
    for number in range(10):
        (tmp_path / f"file-{number}").write_text("x")
    real = os.scandir
    monkeypatch.setattr(listing_local.os, "scandir", lambda fd: Breaking(real(fd), most))
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(TallyportError):
            LocalListing(fd, "")
    finally:
        os.close(fd)
