"""Fails if a file of this checkout names a package registry's host or a folder of a developer's machine.

Which registry a machine uses, and where its folders are, is that machine's business. A lock file that holds
addresses breaks for everybody who is behind a mirror.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# Put together from halves, so that this file passes its own check.
WORDS = [
    "pypi" + ".org",
    "pypi" + ".python.org",
    "python" + "hosted.org",
    "npm" + "js.org",
    "registry." + "yarnpkg.com",
    "deb." + "debian.org",
    "security." + "debian.org",
    "ftp." + "debian.org",
    "archive." + "debian.org",
    "/work" + "/main",
    "/work" + "/shared",
    "/work" + "/.library",
    "farm" + "-bench",
    "farm" + "-studio",
]


def tracked(root: str) -> Iterator[str]:
    """Yield the files git knows or would add, relative to the root; without git, all that are not hidden."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    if os.path.exists(os.path.join(root, ".git")):
        names = subprocess.run(listing, cwd=root, check=True, capture_output=True).stdout
        yield from (os.fsdecode(name) for name in names.split(b"\0") if name)
        return
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".") and name != "__pycache__"]
        yield from (os.path.relpath(os.path.join(folder, name), root) for name in files)


def breaches(content: bytes) -> Iterator[tuple[int, str]]:
    """Yield each line number and the word found there, whatever its case."""
    words = [(word, word.lower().encode()) for word in WORDS]
    whole = content.lower()
    if not any(sought in whole for _, sought in words):
        return
    for number, line in enumerate(whole.splitlines(), 1):
        yield from ((number, word) for word, sought in words if sought in line)


def main(root: str = ROOT) -> int:
    """Print every breach; 1 if there is one."""
    found = 0
    for name in sorted(set(tracked(root))):
        path = os.path.join(root, name)
        if not os.path.isfile(path) or os.path.islink(path):
            continue
        with open(path, "rb") as stream:
            content = stream.read()
        for line, word in [*breaches(os.fsencode(name)), *breaches(content)]:
            print(f"{name}:{line}: {word!r} does not belong in a file of the project")
            found += 1
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
