"""Measures how many pairs the decision handles in a second, on one core, for the pairs that runs are made of."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT)

from tallyport.domain.capabilities import Limits  # noqa: E402
from tallyport.domain.decide import decide  # noqa: E402
from tallyport.domain.entries import Baseline, Entry, Kind, Pair, fingerprint  # noqa: E402
from tallyport.domain.policies import Policies, TransferType  # noqa: E402
from tallyport.domain.rules import rules_for  # noqa: E402

TIME = 1_600_000_000 * 10**9


def entry(number: int, *, modified: int = TIME) -> Entry:
    """Make an entry as a local folder gives it."""
    return Entry(f"file-{number:07}.dat", Kind.FILE, 4096, modified, number.to_bytes(16, "big"))


def new(number: int) -> Pair:
    """A first run: at the source only."""
    return Pair(f"folder/file-{number:07}.dat", entry(number), None)


def unchanged(number: int) -> Pair:
    """A second run that trusts its baseline."""
    seen = entry(number)
    known = Baseline(fingerprint(seen), fingerprint(seen), bytes(16))
    return Pair(f"folder/{seen.name}", seen, None, known, destination_seen=False)


def unchanged_on_both_sides(number: int) -> Pair:
    """A second run that looks at both sides."""
    seen = entry(number)
    known = Baseline(fingerprint(seen), fingerprint(seen), bytes(16))
    return Pair(f"folder/{seen.name}", seen, entry(number), known)


def changed(number: int) -> Pair:
    """Written to at the source since the last run."""
    before = entry(number)
    known = Baseline(fingerprint(before), fingerprint(before), bytes(16))
    return Pair(f"folder/{before.name}", entry(number, modified=TIME + 1), before, known)


KINDS = {
    "new at the source": new,
    "unchanged, baseline trusted": unchanged,
    "unchanged, both sides listed": unchanged_on_both_sides,
    "changed at the source": changed,
}


def rates(count: int) -> Iterator[tuple[str, float]]:
    """Yield each kind of pair with the decisions a second; the pairs are made before the clock runs."""
    limits = Limits(symlinks=True, permissions=True, owners=True)
    rules = rules_for(Policies(transfer_type=TransferType.COPY), limits, limits, started=TIME)
    for what, make in KINDS.items():
        pairs = [make(number) for number in range(min(count, 50_000))]
        rounds = max(count // len(pairs), 1)
        begun = time.process_time()
        for _ in range(rounds):
            for pair in pairs:
                decide(pair, rules)
        yield what, rounds * len(pairs) / (time.process_time() - begun)


def main() -> int:
    for what, rate in rates(300_000):
        print(f"{what:<30} {rate:>12,.0f} decisions a second")
    return 0


if __name__ == "__main__":
    sys.exit(main())
