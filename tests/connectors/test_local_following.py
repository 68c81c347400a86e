"""A folder is read through its own symlinks, and never out of its root."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tallyport.connectors.local import Local
from tallyport.connectors.local_following import MOST_FOLDERS, FollowingFolder
from tallyport.connectors.local_versions import VersionedFolder
from tallyport.connectors.protocol import Facts
from tallyport.domain.entries import Kind
from tallyport.domain.errors import ErrorKind, TallyportError

CANARY = "canary: never read"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "outside" / "deep").mkdir(parents=True)
    (tmp_path / "outside" / "secret.txt").write_text(CANARY)
    (tmp_path / "outside" / "deep" / "secret.txt").write_text(CANARY)
    root = tmp_path / "root"
    (root / "real" / "inner").mkdir(parents=True)
    (root / "a.txt").write_text("a")
    (root / "real" / "b.txt").write_text("b")
    (root / "real" / "inner" / "c.txt").write_text("c")
    (root / "other").mkdir()
    return root


@pytest.fixture
def open_folder(root: Path) -> Iterator[FollowingFolder]:
    opened = Local(str(root)).following()
    assert isinstance(opened, FollowingFolder)
    yield opened
    opened.close()


def read(folder: Local, path: str) -> str:
    with folder.read(path) as chunks:
        return b"".join(chunks).decode()


def kinds(folder: Local, path: str = "") -> dict[str, Kind]:
    return {entry.name: entry.kind for entry in folder.children(path)}


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ("a.txt", "a"),
        ("./other/../a.txt", "a"),
        ("real/b.txt", "b"),
        ("real/inner/../b.txt", "b"),
        ("via/b.txt", "b"),
        ("first", "a"),
        ("{root}/real/b.txt", "b"),
        ("{root}//a.txt", "a"),
    ],
)
def test_a_link_to_a_file_inside_is_read_as_that_file(
    root: Path, open_folder: FollowingFolder, target: str, found: str
) -> None:
    os.symlink("real", root / "via")
    os.symlink("a.txt", root / "first")
    os.symlink(target.format(root=root), root / "link")
    entry = next(entry for entry in open_folder.children("") if entry.name == "link")
    assert (entry.name, entry.kind, entry.size, entry.target) == ("link", Kind.FILE, 1, None)
    assert open_folder.stat("link") == entry
    assert read(open_folder, "link") == found
    assert open_folder.content_hash("link") == open_folder.content_hash({"a": "a.txt", "b": "real/b.txt"}[found])


@pytest.mark.parametrize(
    "target",
    [
        "../outside/secret.txt",
        "../outside",
        "real/../../outside/secret.txt",
        "../root/a.txt",
        "/etc/passwd",
        "{outside}/secret.txt",
        "{root}x/a.txt",
        "{root}/../outside/secret.txt",
        "{root}",
        "nothing",
        "a.txt/",
        "a.txt/x",
        "link",
        "round",
        ".",
        "..",
        "real/..",
        "to-outside/secret.txt",
    ],
)
def test_a_link_that_leads_out_nowhere_or_round_stays_a_link(
    root: Path, open_folder: FollowingFolder, target: str
) -> None:
    os.symlink("link", root / "round")
    os.symlink("../outside", root / "to-outside")
    os.symlink(target.format(root=root, outside=root.parent / "outside"), root / "link")
    assert kinds(open_folder)["link"] is Kind.SYMLINK
    entry = open_folder.stat("link")
    assert entry is not None
    assert entry.kind is Kind.SYMLINK
    with pytest.raises(TallyportError):
        read(open_folder, "link")
    with pytest.raises(TallyportError):
        list(open_folder.children("link"))


def test_a_link_to_a_folder_is_gone_into(root: Path, open_folder: FollowingFolder) -> None:
    os.symlink("../real", root / "other" / "way")
    assert kinds(open_folder, "other") == {"way": Kind.CONTAINER}
    assert kinds(open_folder, "other/way") == {"b.txt": Kind.FILE, "inner": Kind.CONTAINER}
    assert read(open_folder, "other/way/inner/c.txt") == "c"
    fd = open_folder.open_container("other/way/inner")
    assert os.listdir(fd) == ["c.txt"]
    os.close(fd)


def test_a_link_back_to_a_folder_on_the_way_is_not_entered(root: Path, open_folder: FollowingFolder) -> None:
    os.symlink("..", root / "real" / "up")
    os.symlink("../real", root / "real" / "self")
    os.symlink("../other", root / "real" / "there")
    os.symlink("../real", root / "other" / "back")
    assert kinds(open_folder, "real") == {
        "b.txt": Kind.FILE,
        "inner": Kind.CONTAINER,
        "up": Kind.SYMLINK,
        "self": Kind.SYMLINK,
        "there": Kind.CONTAINER,
    }
    assert kinds(open_folder, "real/there") == {"back": Kind.SYMLINK}
    assert kinds(open_folder, "other") == {"back": Kind.CONTAINER}


def test_links_cannot_multiply_a_tree_without_end(root: Path, open_folder: FollowingFolder) -> None:
    for depth in range(MOST_FOLDERS + 4):
        (root / f"d{depth}").mkdir()
        os.symlink(f"../d{depth + 1}", root / f"d{depth}" / "x")
    path, entered = "d0", 0
    while kinds(open_folder, path).get("x") is Kind.CONTAINER:
        path, entered = f"{path}/x", entered + 1
    assert entered == MOST_FOLDERS


def test_nothing_is_written_through_links(root: Path, open_folder: FollowingFolder) -> None:
    os.symlink("a.txt", root / "link")
    for act in (
        lambda: open_folder.delete("link"),
        lambda: open_folder.write("link", [b"x"], Facts()),
        lambda: open_folder.make_container("new", Facts()),
        lambda: open_folder.stamp("link", Facts(modified=1)),
        lambda: open_folder.rename("link", "other/link"),
    ):
        with pytest.raises(TallyportError) as caught:
            act()
        assert caught.value.kind is ErrorKind.READ_ONLY
    assert (root / "a.txt").read_text() == "a"


def test_a_folder_swapped_for_a_link_on_the_way_leads_nowhere(root: Path, open_folder: FollowingFolder) -> None:
    """The target of a link is a folder when it is listed, and a link out of the root when it is read."""
    os.symlink("real/inner", root / "link")
    assert kinds(open_folder, "link") == {"c.txt": Kind.FILE}
    os.rename(root / "real", root / "was")
    os.symlink("../outside", root / "real")
    os.symlink("deep", root.parent / "outside" / "inner")
    for path in ("link/secret.txt", "link/c.txt", "real/secret.txt"):
        with pytest.raises(TallyportError):
            read(open_folder, path)
    assert open_folder.stat("link/secret.txt") is None
    assert kinds(open_folder)["link"] is Kind.SYMLINK


def test_no_descriptor_is_left_open(root: Path, open_folder: FollowingFolder) -> None:
    os.symlink("real", root / "way")
    os.symlink("../outside", root / "out")

    def once() -> None:
        list(open_folder.children("way"))
        list(open_folder.children(""))
        open_folder.stat("way/b.txt")
        open_folder.stat("out")
        read(open_folder, "way/b.txt")
        with pytest.raises(TallyportError):
            list(open_folder.children("out"))

    once()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        once()
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_folder_with_versions_is_not_read_through_links(root: Path) -> None:
    folder = VersionedFolder(str(root))
    assert folder.following() is None
    folder.close()
