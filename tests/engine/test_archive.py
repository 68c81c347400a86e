"""Archives made on the way: equal files make equal archives, and what is in them is what was given."""

from __future__ import annotations

import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallyport.engine.archive import zipped


@given(st.lists(st.binary(max_size=5_000), max_size=5), st.integers(-(2**62), 2**62))
def test_an_archive_holds_the_content_and_is_made_alike_each_time(pieces, modified):
    made = b"".join(zipped("db123.cmd", modified, pieces))
    assert made == b"".join(zipped("db123.cmd", modified, pieces))
    with zipfile.ZipFile(io.BytesIO(made)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["db123.cmd"]
        assert archive.read("db123.cmd") == b"".join(pieces)


def test_a_reader_that_fails_leaves_no_complete_archive():
    def content():
        yield b"half"
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        list(zipped("a.cmd", 0, content()))


def test_a_name_that_is_not_text_has_a_readable_name_in_the_archive():
    made = b"".join(zipped("caf\udce9.cmd", 0, [b"x"]))
    with zipfile.ZipFile(io.BytesIO(made)) as archive:
        assert archive.namelist() == [r"caf\xe9.cmd"]
