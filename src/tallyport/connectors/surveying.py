"""Walking a source without reading content: each entry that takes part once, containers before what they hold."""

from collections.abc import Callable, Iterator

from tallyport.connectors.protocol import Connector
from tallyport.domain import paths
from tallyport.domain.capabilities import Limits
from tallyport.domain.entries import Entry, Kind
from tallyport.domain.errors import REMEDIES, Scope, TallyportError
from tallyport.domain.filters import Judge, judge_for
from tallyport.domain.manifests import Manifest
from tallyport.domain.policies import Policies

LOOK_EVERY = 256  # entries between two looks at whether to go on


def survey(
    source: Connector, destination: Limits, policies: Policies, *, now: int, goes_on: Callable[[], bool]
) -> Manifest:
    """Look at the source and gather its manifest; one that was cut short says that it is not complete.

    ``now`` is in nanoseconds: the age of items counts from it.
    """
    manifest = Manifest(policies, destination)
    judge = judge_for(policies.filter_source, started=now)
    for number, (path, entry) in enumerate(walk(source, judge, manifest.deny)):
        manifest.add(path, entry)
        if number % LOOK_EVERY == 0 and not goes_on():
            manifest.is_complete = False
            break
    return manifest


def walk(source: Connector, judge: Judge | None, deny: Callable[[str, str], None]) -> Iterator[tuple[str, Entry]]:
    """Give (path, entry) of all that a filter lets through. A container that cannot be listed is told to ``deny``.

    Memory grows with the depth and with the containers beside one another, never with the files.
    """
    waiting = [paths.ROOT]
    while waiting:
        container = waiting.pop()
        below: list[str] = []
        try:
            for entry in source.children(container):
                path = paths.join(container, entry.name)
                if judge is not None and judge(path, entry, True) is not None:
                    continue
                yield path, entry
                if entry.kind is Kind.CONTAINER:
                    below.append(path)
        except TallyportError as error:
            if container == paths.ROOT or REMEDIES[error.kind][0] is not Scope.ITEM:
                raise
            deny(container, error.message)
        waiting += reversed(below)
