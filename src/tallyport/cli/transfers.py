"""``tallyport copy|sync|publish|move|migrate|taxonomy SRC DST``: a whole migration in one process, no server."""

import gc
import sys
from collections.abc import Callable
from typing import Any

import click

from tallyport.cli.exits import finish
from tallyport.cli.options import data_option

DELETES = {
    "sync": "what was deleted on one side since the last run is deleted on the other",
    "publish": "what only the destination has is deleted",
    "move": "the source is emptied once everything is verified",
    "migrate": "each source item is deleted once its copy is verified",
}
"""Types that delete, and what: a person at a terminal is asked first."""

LEVELS = ("size", "ack", "hash", "readback", "cold")  # names of domain.capabilities.VerifyLevel; a test compares


def is_asked() -> bool:
    """Tell whether a person is there to answer."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def _transfer(name: str, summary: str) -> click.Command:
    @click.command(name, help=summary, epilog=f"\b\nExample:\n  tallyport {name} /data/projects /mnt/new/projects")
    @click.argument("source", metavar="SRC", type=click.Path(path_type=str))
    @click.argument("destination", metavar="DST", type=click.Path(path_type=str))
    @click.option(
        "--job",
        "job_file",
        metavar="FILE.json",
        type=click.Path(path_type=str),
        help="Policies from a file: a transfer block, or a whole job.",
    )
    @click.option(
        "--policy",
        "overrides",
        metavar="KEY=VALUE",
        multiple=True,
        help="One policy, as in conflict_resolution=latest; dots go into a block. Repeatable.",
    )
    @click.option(
        "--names-from",
        metavar="RUN",
        type=click.IntRange(1),
        help="What that run renamed gets its original name again; SRC is where it wrote to.",
    )
    @click.option("--simulate", "--dry-run", is_flag=True, help="Decide everything, write nothing.")
    @click.option("-y", "--yes", is_flag=True, help="Do not ask before a type that deletes.")
    @click.option("--verify", type=click.Choice(LEVELS), help="How each item is proved. Default: hash.")
    @click.option("--movers", type=click.IntRange(1, 64), help="Processes that carry. Default: one per core.")
    @click.option("--json", "as_json", is_flag=True, help="End with one line of JSON on standard output.")
    @click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
    @click.option("-v", "--verbose", is_flag=True, help="Lines of progress even where there is no terminal.")
    @data_option
    def command(source: str, destination: str, yes: bool, **options: Any) -> None:
        if name in DELETES and not (yes or options["simulate"]) and is_asked():
            click.echo(f"{name}: {DELETES[name]}. `--simulate` shows what a run would do.", err=True)
            click.confirm("Go on?", abort=True, err=True)
        # Late, so that asking for help does not load the database; the movers start while it loads.
        gc.disable()  # importing makes nothing to collect, and much to look through
        from tallyport.app import warm

        warm(options["movers"])
        from tallyport.cli.one_shot import transfer

        finish(transfer(name, source, destination, **options))

    return command


_SAFETY = """

SRC and DST are folders of this machine, addresses (s3://BUCKET/PREFIX, az://ACCOUNT/CONTAINER/PREFIX,
gs://BUCKET/PREFIX, with the credentials of each cloud's own tools) or saved connections (CONNECTION:/PATH); DST is
made when it is missing. The run is durable: after a crash or Ctrl-C the same command goes on where it was, and a later
one carries only what changed."""

_MAKE: Callable[[str, str], click.Command] = _transfer
copy = _MAKE("copy", "Copy a folder. The source is never changed, and nothing is deleted at the destination." + _SAFETY)
sync = _MAKE("sync", "Keep two folders equal: changes go both ways." + _SAFETY)
publish = _MAKE("publish", "Make the destination a mirror of the source: what is not in the source goes." + _SAFETY)
move = _MAKE("move", "Copy a folder, verify all of it, then empty the source." + _SAFETY)
migrate = _MAKE("migrate", "Copy a folder, and delete each source item once its copy is verified." + _SAFETY)
taxonomy = _MAKE("taxonomy", "Carry the folders alone, without their files." + _SAFETY)
