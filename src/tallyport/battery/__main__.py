"""``python -m tallyport.battery``: run the battery and print its card."""

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tallyport.battery import card, changes, crashes, obstacles
from tallyport.battery.card import Score
from tallyport.battery.ground import Broken, Ground, NotHere, ground
from tallyport.battery.progress import Progress

INTERRUPTED = 130  # how it ends when a person stopped it, as the command does
LEAST_FREE = 512 << 20  # bytes of scratch


class Attack(NamedTuple):
    """One attack, how often it is made, and what it attacks."""

    id: str
    act: Callable[[Ground], None]
    invariant: str
    quick: int  # rounds
    full: int


ATTACKS = (
    Attack("C1", crashes.random_kills, "I6 killed at any moment, it goes on and loses nothing", 2, 200),
    Attack("C2", crashes.kills_at_steps, "I1, I6 killed at any step, no path is ever partial", 4, 200),
    Attack("C9", crashes.damaged_ledger, "I2, I5 nothing is done or deleted on the word of a bad ledger", 2, 200),
    Attack("C10", crashes.lost_ledger, "I5 without a baseline nothing is deleted", 1, 10),
    Attack("D1", obstacles.full_disk, "I1 a full disk costs no old content", 1, 5),
    Attack("D3", crashes.errors_at_steps, "I2 a call that failed is never taken for done", 3, 100),
    Attack("D4", obstacles.few_descriptors, "I6 a shortage is said or outlasted", 1, 5),
    Attack("D7", obstacles.little_memory, "I6 a shortage is said or outlasted", 1, 20),
    Attack("D5", obstacles.closed_places, "I5 what cannot be listed is unknown, and nothing below is deleted", 1, 5),
    Attack("D6", obstacles.empty_source, "I5 the delete brake stops before the first delete", 2, 10),
    Attack("P4", obstacles.special_files, "special files never block, special bits are not restored", 1, 5),
    Attack("S1", changes.rewritten_while_read, "I1 never a mix of two contents", 1, 50),
    Attack("S3", changes.vanishing_folders, "I4 what vanishes is one outcome, the rest is done", 1, 20),
    Attack("S4", changes.edited_at_the_destination, "what a person changed at the destination stays", 1, 5),
    Attack("T3", changes.odd_times, "odd times arrive and settle", 1, 5),
    Attack("Z2", changes.second_run_writes_nothing, "an unchanged tree is left alone", 1, 5),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was chosen; 0 when every attack that could be made was held."""
    options = _options(arguments)
    unknown = set(options.only) - {attack.id for attack in ATTACKS}
    if unknown:
        print(
            f"no such attack: {', '.join(sorted(unknown))}; there are {', '.join(a.id for a in ATTACKS)}",
            file=sys.stderr,
        )
        return 2
    seed = options.seed if options.seed is not None else time.time_ns() % 1_000_000_000
    chosen = [attack for attack in ATTACKS if not options.only or attack.id in options.only]
    with tempfile.TemporaryDirectory(prefix="battery-", dir=options.scratch) as scratch:
        if shutil.disk_usage(scratch).free < LEAST_FREE:
            print(f"the battery needs {LEAST_FREE >> 20} MiB of scratch: name a folder by --scratch", file=sys.stderr)
            return 1
        print(f"seed {seed}, scratch in {scratch}", file=sys.stderr, flush=True)
        scores: list[Score] = []
        for attack in chosen:
            scores.append(_score(attack, scratch, seed, quick=options.quick))
            if scores[-1].outcome == "interrupted":
                break
    write = {"text": card.text, "json": card.document, "markdown": card.markdown}[options.format]
    print(write(scores))
    outcomes = {score.outcome for score in scores}
    return 1 if "broken" in outcomes else INTERRUPTED if "interrupted" in outcomes else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tallyport selftest", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few rounds of each attack")
    parser.add_argument("--seed", type=int, help="replay a run")
    parser.add_argument("--only", action="append", default=[], metavar="ID", help="this attack; repeatable")
    parser.add_argument("--scratch", default=None, metavar="DIR", help="where to work: its file system is attacked")
    parser.add_argument("--format", choices=("text", "json", "markdown"), default="text")
    return parser.parse_args(arguments)


def _score(attack: Attack, scratch: str, seed: int, *, quick: bool) -> Score:
    """Make one attack as often as it is to be made, until it breaks something."""
    wanted = attack.quick if quick else attack.full
    outcome, detail, rounds = "held", "", 0
    chance = random.Random(f"{seed} {attack.id}")
    last = seed
    words = (attack.act.__doc__ or "").split(":")[0].strip().rstrip(".")
    progress = Progress(sys.stderr, attack.id, words, wanted)
    for number in range(1, wanted + 1):
        last = chance.randrange(1 << 31)
        try:
            progress.begin(number)
            with ground(scratch, last) as here:
                attack.act(here)
            rounds += 1
        except NotHere as lack:
            outcome, detail = "skipped", str(lack)
            break
        except Broken as broken:
            outcome, detail = "broken", f"{broken} (seed {seed}, round {number})"
            break
        except KeyboardInterrupt:
            outcome, detail = "interrupted", f"stopped in round {number} of {wanted}; those before held"
            break
        except Exception as error:  # an attack that falls over proves nothing, and must not look as if it did
            outcome, detail = "broken", f"{type(error).__name__}: {error} (seed {seed}, round {number})"
            break
        finally:
            os.chdir("/")
    progress.end(outcome)
    return Score(attack.id, words, attack.invariant, outcome, rounds, round(progress.seconds, 1), seed, detail)


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell lets what it puts into the background ignore the first
        signal.signal(number, signal.default_int_handler)
    sys.exit(main())
