"""Fetches what the console carries of others' work, and compares it with the sums that are kept.

``src/tallyport/web/static/vendor/vendor.toml`` names each part with version, licence, files and SHA-256. Needs
``npm`` to fetch, nothing to compare. To take a newer release: change its version there, run this, look, commit.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "src" / "tallyport" / "web" / "static" / "vendor"
LIST = FOLDER / "vendor.toml"


class Vendored(NamedTuple):
    """One file of ours that is not our work."""

    part: str
    version: str
    licence: str
    path: Path
    sha256: str
    source: dict[str, Any]  # the line of the list


def files() -> Iterator[Vendored]:
    """Give every file of the list."""
    for part in tomllib.loads(LIST.read_text("utf-8"))["part"]:
        for line in part["files"]:
            folder = ROOT if line["to"].startswith("tests/") else FOLDER
            yield Vendored(part["name"], part["version"], part["licence"], folder / line["to"], line["sha256"], line)


def stale() -> list[str]:
    """Say what differs from the list: a file that is missing, changed, or not in it."""
    listed = {one.path: one for one in files()}
    found = [f"{path}: missing" for path in listed if not path.exists()]
    found += [
        f"{path}: is not what {one.part} {one.version} holds"
        for path, one in listed.items()
        if path.exists() and digest(path) != one.sha256
    ]
    there = {path for path in FOLDER.rglob("*") if path.is_file()} - {LIST}
    return found + [f"{path}: not in the list" for path in sorted(there - set(listed))]


def digest(path: Path) -> str:
    """Give a file's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def fetch() -> None:
    """Write every file anew from its package, and its sum into the list."""
    text = LIST.read_text("utf-8")
    with tempfile.TemporaryDirectory() as scratch:
        for one in files():
            content = _content(Path(scratch), one)
            one.path.parent.mkdir(parents=True, exist_ok=True)
            one.path.write_bytes(content)
            line = rf'(to = "{re.escape(one.source["to"])}", sha256 = )"[0-9a-f]*"'
            text = re.sub(line, rf'\g<1>"{hashlib.sha256(content).hexdigest()}"', text)
    LIST.write_text(text, "utf-8")


def _content(scratch: Path, one: Vendored) -> bytes:
    package = scratch / f"{one.part.replace('/', '-')}-{one.version}"
    if not package.exists():
        packed = ["npm", "pack", "--silent", f"{one.part}@{one.version}"]
        name = subprocess.run(packed, cwd=scratch, check=True, capture_output=True, text=True).stdout.strip()
        with tarfile.open(scratch / name) as archive:
            archive.extractall(package, filter="data")
    inside = package / "package"
    if "icons" in one.source:
        return _sprite(inside / "icons" / "outline", one.source["icons"].split())
    return Path(inside, str(one.source["from"])).read_bytes()


def _sprite(folder: Path, names: Sequence[str]) -> bytes:
    symbols = []
    for name in sorted(set(names)):
        drawing = (folder / f"{name}.svg").read_text("utf-8")
        inner = re.sub(r"\s+", " ", drawing[drawing.index(">", drawing.index("<svg")) + 1 : drawing.rindex("</svg>")])
        symbols.append(f'<symbol id="{name}" viewBox="0 0 24 24">{inner.strip()}</symbol>')
    return ('<svg xmlns="http://www.w3.org/2000/svg">\n' + "\n".join(symbols) + "\n</svg>\n").encode()


def main(arguments: Sequence[str]) -> int:
    """Fetch, or with ``--check`` compare."""
    if list(arguments) != ["--check"]:
        fetch()
    wrong = stale()
    print("\n".join(wrong) or "the vendored files are those of the list")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
