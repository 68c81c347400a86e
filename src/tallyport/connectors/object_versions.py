"""How many contents each object of a listing has, counted on a walk through all contents beside it.

A walk through all contents shows prefixes below which nothing stands any more, so that it cannot be the listing itself.
Both go in the order of keys, and neither is held.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from tallyport.connectors.object_listing import Found, Listed
from tallyport.domain.errors import REMEDIES, Scope, TallyportError


def numbers(keys: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Count contents, each given by its key, those of one key one after the other."""
    for key, some in groupby(keys):
        yield key, sum(1 for _ in some)


def with_contents(listed: Listed, counted: Iterator[tuple[str, int]]) -> Listed:
    """List as ``listed`` does, each object with the number that goes with its key; 0 where there is none.

    A walk that the platform refuses takes nothing from the listing: from there on there are no numbers.
    """
    ahead: tuple[str, int] | None = ("", 0)

    def number_of(key: str) -> int:
        nonlocal ahead
        wanted = key.encode()
        try:
            while ahead is not None and ahead[0].encode() < wanted:
                ahead = next(counted, None)
        except TallyportError as error:
            if REMEDIES[error.kind][0] is not Scope.ITEM:
                raise
            ahead = None
        return 0 if ahead is None or ahead[0] != key else ahead[1]

    def listed_with(prefix: str, path: str, token: str) -> tuple[Sequence[Found], str]:
        lines, following = listed(prefix, path, token)
        return [_with(one, number_of(one.key)) if one.entry is not None else one for one in lines], following

    return listed_with


def _with(found: Found, number: int) -> Found:
    return found if found.entry is None else found._replace(entry=found.entry._replace(contents=number))
