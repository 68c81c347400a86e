"""What stands at both ends of a job against its ledger, as text."""

from collections.abc import Iterator, Mapping

from tallyport.cli.showing import line, number
from tallyport.control.reconciling import Reconciliation
from tallyport.domain import paths

_TOLD = {
    "missing": "carried, and gone from the destination since",
    "unknown": "not in the ledger: newer than the last run",
    "unread": "could not be listed",
}


def as_lines(found: Reconciliation) -> Iterator[str]:
    """Give a reconciliation as text."""
    yield f"at the source           {number(found.source.total()):>12}  {_kinds(found.source)}"
    yield f"  at the destination    {number(found.matched):>12}"
    yield from _by_reason("left out on purpose", found.left_out)
    yield from _by_reason("failed", found.failed)
    if found.pending:
        yield f"  not finished          {number(found.pending):>12}"
    for what, says in _TOLD.items():
        count = getattr(found, what)
        if count:
            yield f"  {number(count)} {says}"
            for path in found.shown[what]:
                yield f"      {line(paths.display(path) or 'the root')}"
            if count > len(found.shown[what]):
                yield f"      and {number(count - len(found.shown[what]))} more"
    yield f"at the destination      {number(found.destination.total()):>12}  {_kinds(found.destination)}"
    yield f"  from the source       {number(found.matched):>12}"
    yield f"  only there            {number(found.only_there):>12}"
    yield ""
    if found.adds_up:
        yield "it adds up: every item of the source is at the destination or reported"
    else:
        yield "it does not add up: see what is named above, then run the job again"


def _kinds(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number(count)} {kind}" for kind, count in sorted(counts.items()))


def _by_reason(title: str, counts: Mapping[str, int]) -> Iterator[str]:
    if counts:
        yield f"  {title:<22}{number(sum(counts.values())):>12}"
        for reason, count in sorted(counts.items(), key=lambda pair: -pair[1]):
            yield f"      {number(count):>10}  {reason}"
