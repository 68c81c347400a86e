"""A name of a file that stands at the destination, which other names of that file can be linked to."""

from typing import NamedTuple


class Standing(NamedTuple):
    """One name, as the ledger knows it; whoever links to it looks whether it still is so."""

    d_path: str
    source: tuple[int, int]  # size and time of last change that were carried
    there: tuple[int, int, bytes]  # its fingerprint at the destination
    hash: bytes  # of its content
