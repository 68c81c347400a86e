"""``tallyport selftest``: the attacks that a release must stand, on the machine of whoever doubts it."""

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator

import click

from tallyport.cli.exits import Exit, Stop, finish


@click.command()
@click.option("--battery", is_flag=True, help="Attack this installation on scratch data and print a scorecard.")
@click.option("--quick", is_flag=True, help="A few rounds of each attack: minutes instead of hours.")
@click.option("--only", multiple=True, metavar="ID", help="This attack alone; repeatable.")
@click.option("--seed", type=int, help="Replay a run that was printed with its seed.")
@click.option(
    "--scratch", metavar="DIR", help="Where to work: its file system is attacked. Default: a temporary folder."
)
@click.option("--format", "shape", type=click.Choice(["text", "json", "markdown"]), default="text", show_default=True)
def selftest(
    battery: bool, quick: bool, only: tuple[str, ...], seed: int | None, scratch: str | None, shape: str
) -> None:
    """Run the fault battery that this release claims to stand.

    Runs are killed, disks filled, ledgers damaged, files rewritten under the reader; each attack says which promise
    it attacks and whether it held. Touches nothing but its scratch folder and what it mounts there.

    Ends with 0 when every attack that this machine can make was held, with 1 when something broke. Ctrl-C, or a kill of
    this process, ends it with the card so far, and 130.
    """
    if not battery:
        raise Stop(Exit.USAGE, "say what to test: `tallyport selftest --battery --quick` takes a few minutes")
    words = [f"--format={shape}", *(["--quick"] if quick else []), *(f"--only={one}" for one in only)]
    words += [f"--seed={seed}"] if seed is not None else []
    words += [f"--scratch={scratch}"] if scratch else []
    # A program of its own: it drives the product from outside, and the product does not import its tests.
    with subprocess.Popen([sys.executable, "-m", "tallyport.battery", *words]) as program:
        with _passing_on(program):
            finish(_ended(program))


@contextlib.contextmanager
def _passing_on(program: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Have it hear a kill of this process, and an interrupt where a shell has that ignored: nobody's Ctrl-C is that."""
    numbers = [signal.SIGTERM, *([signal.SIGINT] if signal.getsignal(signal.SIGINT) is signal.SIG_IGN else [])]
    before = [signal.signal(one, lambda number, _: program.send_signal(number)) for one in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _ended(program: "subprocess.Popen[bytes]") -> Exit:
    """Wait for it, over a first Ctrl-C too: it hears that itself, clears away and prints its card. A second ends it."""
    was_asked = False
    while True:
        try:
            status = program.wait()
            return Exit(status) if status in {int(code) for code in Exit} else Exit.ERROR
        except KeyboardInterrupt:
            if was_asked:
                program.kill()
            was_asked = True
