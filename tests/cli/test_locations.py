"""The two ends of a one-shot are two folders, neither inside the other."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tallyport.cli.exits import Exit, Stop
from tallyport.cli.locations import locate


def refused(source: object, destination: object) -> Stop:
    with pytest.raises(Stop) as caught:
        locate(str(source), str(destination))
    return caught.value


def test_a_missing_destination_is_fine(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    found = locate(str(source), str(tmp_path / "new" / "deep"))
    assert found == (str(source.resolve()), str((tmp_path / "new" / "deep").resolve()))


def test_relative_paths_and_links_become_the_real_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "link").symlink_to("source")
    monkeypatch.chdir(tmp_path)
    assert locate("link", "destination").source == str((tmp_path / "source").resolve())


def test_a_missing_source_is_not_found(tmp_path: Path) -> None:
    error = refused(tmp_path / "nowhere", tmp_path / "destination")
    assert error.code is Exit.NOT_FOUND
    assert "nowhere" in error.message


def test_a_single_file_is_refused_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    error = refused(tmp_path / "file", tmp_path / "destination")
    assert error.code is Exit.USAGE
    assert "not yet a single file" in error.message


def test_a_destination_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "file").write_text("x")
    assert refused(tmp_path / "source", tmp_path / "file").code is Exit.USAGE


@pytest.mark.parametrize("below", ["", "inside", "inside/deeper"])
def test_a_destination_in_the_source_is_refused_and_both_are_named(tmp_path: Path, below: str) -> None:
    source = tmp_path / "source"
    source.mkdir()
    error = refused(source, source / below)
    assert error.code is Exit.USAGE
    assert str(source) in error.message
    assert str(source / below) in error.message


def test_a_source_in_the_destination_is_refused_and_both_are_named(tmp_path: Path) -> None:
    source = tmp_path / "outer" / "source"
    source.mkdir(parents=True)
    error = refused(source, tmp_path / "outer")
    assert error.code is Exit.USAGE
    assert str(source) in error.message
    assert str(tmp_path / "outer") in error.message


def test_a_link_into_the_source_does_not_get_around_the_check(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "inside").mkdir(parents=True)
    (tmp_path / "elsewhere").symlink_to(source / "inside")
    assert refused(source, tmp_path / "elsewhere" / "new").code is Exit.USAGE


def test_folders_whose_names_begin_alike_are_apart(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    assert locate(str(tmp_path / "data"), str(tmp_path / "data-new"))


@pytest.mark.parametrize("given", ["s3://bucket/prefix", "sftp://host/folder", ""])
def test_addresses_and_nothing_are_refused(tmp_path: Path, given: str) -> None:
    assert refused(given, tmp_path / "destination").code is Exit.USAGE


def test_a_name_that_is_not_utf8_is_carried_and_shown(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    (tmp_path / name).mkdir()
    assert locate(str(tmp_path / name), str(tmp_path / "destination")).source.endswith(name)
    missing = refused(tmp_path / (name + "2"), tmp_path / "destination")
    missing.message.encode("utf-8")


def test_control_characters_in_a_name_do_not_reach_the_terminal(tmp_path: Path) -> None:
    assert "\x1b" not in refused(tmp_path / "a\x1b[31mb", tmp_path / "destination").message
