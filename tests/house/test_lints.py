"""The lints catch what they are for, and the tree is clean."""

from __future__ import annotations

import os
import subprocess

import pytest

from tools import lint_local_paths, lint_words

HEAD = """
import os, shutil, pathlib, io
import os as system
from os import path as names
OPEN_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
OPEN_ANY = os.O_RDONLY | os.O_CLOEXEC
OPEN_FOLDER = OPEN_NEW | os.O_DIRECTORY
"""

BREACHES = [
    "os.open(path, os.O_RDONLY | os.O_NOFOLLOW)",
    "os.open(path, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=None)",
    "os.open(name, os.O_RDONLY, dir_fd=parent_fd)",
    "os.open(name, OPEN_ANY, dir_fd=parent_fd)",
    "os.open(name, OPEN_NEW & os.O_NOFOLLOW, dir_fd=parent_fd)",
    "os.open(name, OPEN_NEW if fresh else OPEN_ANY, dir_fd=parent_fd)",
    "os.open(name, flags, dir_fd=parent_fd)",
    "os.mkdir(path)",
    "os.chmod(path, 0o644)",
    "os.chmod(name, 0o644, dir_fd=parent_fd)",
    "os.chown(name, 0, 0, dir_fd=parent_fd, follow_symlinks=True)",
    "os.utime(name, ns=(1, 1), dir_fd=parent_fd)",
    "os.rename(path, other)",
    "os.rename(name, other, src_dir_fd=parent_fd)",
    "os.replace(name, other, dst_dir_fd=parent_fd)",
    "os.link(path, other)",
    "os.unlink(path)",
    "os.remove(path)",
    "os.rmdir(path)",
    "os.symlink(target, path)",
    "os.readlink(path)",
    "os.stat(path)",
    "os.lstat(path)",
    "os.mknod(path)",
    "os.getxattr(path, 'user.a')",
    "os.setxattr(path, 'user.a', b'')",
    "os.listxattr(path)",
    "os.scandir(path)",
    "os.scandir()",
    "os.listdir(path)",
    "os.walk(path)",
    "os.makedirs(path)",
    "os.path.exists(path)",
    "names.isdir(path)",
    "system.unlink(path)",
    "open(path)",
    "io.open(path)",
    "shutil.rmtree(path)",
    "shutil.copyfile(path, other)",
    "pathlib.Path(path)",
    "pathlib.Path(path).unlink()",
    "from pathlib import Path",
    "from os import unlink",
    "from os.path import exists",
    "from shutil import rmtree",
]

CLEAN = [
    "os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=parent_fd)",
    "os.open(name, OPEN_NEW, 0o600, dir_fd=parent_fd)",
    "os.open(name, flags=OPEN_FOLDER | os.O_CLOEXEC, dir_fd=self._root_fd)",
    "own = os.O_RDONLY | os.O_NOFOLLOW; os.open(name, own, dir_fd=parent_fd)",
    "os.mkdir(name, 0o700, dir_fd=parent_fd)",
    "os.chmod(fd, 0o644)",
    "os.chown(self.entry_fd, 0, 0)",
    "os.utime(name, ns=(1, 1), dir_fd=parent_fd, follow_symlinks=False)",
    "os.rename(name, other, src_dir_fd=parent_fd, dst_dir_fd=other_fd)",
    "os.symlink(target, name, dir_fd=parent_fd)",
    "os.stat(name, dir_fd=parent_fd, follow_symlinks=False)",
    "os.stat(stream.fileno())",
    "os.getxattr(fd, 'user.a')",
    "os.scandir(folder_fd)",
    "os.fsync(fd)",
    "os.path.join(a, b)",
    "open(fd, 'rb')",
    "shutil.rmtree(name, dir_fd=parent_fd)",
    "pathlib.PurePosixPath(text).parent.joinpath(other).with_suffix('')",
    "from pathlib import PurePosixPath",
    "stream.open(path)",
]


def inside(line: str, above: str = "", comment: str = "") -> str:
    """Write a connector's file with one line in a method."""
    return f"{HEAD}\nclass Local:\n{above}    def move(self, name, flags):{comment}\n        {line}\n"


@pytest.mark.parametrize("line", BREACHES)
def test_reaching_a_file_by_its_path_is_caught(line: str) -> None:
    assert lint_local_paths.breaches(inside(line))


@pytest.mark.parametrize("line", CLEAN)
def test_working_below_a_descriptor_is_welcome(line: str) -> None:
    assert lint_local_paths.breaches(inside(line)) == []


@pytest.mark.parametrize("line", BREACHES)
def test_a_function_that_opens_the_root_may_start_from_a_path(line: str) -> None:
    above = f"    {lint_local_paths.EXEMPTION}\n"
    assert lint_local_paths.breaches(inside(line, above=above)) == []
    assert lint_local_paths.breaches(inside(line, comment=f"  {lint_local_paths.EXEMPTION}")) == []


def test_an_exemption_covers_one_function_only() -> None:
    exempt = f"def first(path):\n    {lint_local_paths.EXEMPTION}\n    os.stat(path)\n"
    nested = "    def inner():\n        os.stat(path)\n"
    following = "def second(path):\n    os.stat(path)\n"
    assert lint_local_paths.breaches(HEAD + exempt) == []
    assert len(lint_local_paths.breaches(HEAD + exempt + nested + following)) == 2


def test_the_words_of_the_exemption_in_a_string_exempt_nothing() -> None:
    quoted = f"\n        '{lint_local_paths.EXEMPTION}'"
    assert lint_local_paths.breaches(inside("os.stat(path)", comment=quoted))


def test_the_path_lint_reads_every_local_connector_and_nothing_else(tmp_path, capsys) -> None:
    connectors = tmp_path / "src" / "tallyport" / "connectors"
    (connectors / "local").mkdir(parents=True)
    for name in ("local.py", "local_walk.py", "local/write.py", "sftp.py"):
        (connectors / name).write_text("import os\nos.stat('a')\n")
    assert lint_local_paths.main(str(tmp_path)) == 1
    said = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0].removeprefix("src/tallyport/connectors/") for line in said] == [
        "local.py",
        "local_walk.py",
        "local/write.py",
    ]


@pytest.mark.parametrize("word", lint_words.WORDS)
def test_a_word_that_belongs_to_a_machine_is_caught(word: str) -> None:
    text = f"first line\n--index https://{word.upper()}/simple\n"
    assert list(lint_words.breaches(text.encode())) == [(2, word)]


@pytest.mark.needs("git")
def test_the_word_lint_reads_tracked_and_new_files_but_no_ignored_ones(tmp_path, capsys) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / ".gitignore").write_text("*.log\n")
    for name in ("old.txt", "new.txt", "ignored.log"):
        (tmp_path / name).write_text(f"a\n{lint_words.WORDS[0]}\n")
    subprocess.run(["git", "-C", tmp_path, "add", "old.txt"], check=True)
    assert lint_words.main(str(tmp_path)) == 1
    said = capsys.readouterr().out.splitlines()
    assert [":".join(line.split(":")[:2]) for line in said] == ["new.txt:2", "old.txt:2"]


@pytest.mark.parametrize("lint", [lint_local_paths, lint_words])
def test_the_tree_is_clean(lint, capsys) -> None:
    status = lint.main()
    assert (status, capsys.readouterr().out) == (0, "")


def test_every_lint_has_the_shape_that_check_expects() -> None:
    names = [name for name in os.listdir(os.path.join(lint_words.ROOT, "tools")) if name.startswith("lint_")]
    assert {"lint_local_paths.py", "lint_words.py"} <= set(names)
