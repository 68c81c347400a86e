"""The command ``tallyport``: knows the name and the one line of every command, imports a command when it is called."""

import sys
from importlib import import_module
from typing import Any

import click

from tallyport import __version__
from tallyport.cli.exits import Exit, Stop, code_of
from tallyport.domain.errors import TallyportError

# name: (module:attribute, one line). The order is the order of the help page.
COMMANDS: dict[str, tuple[str, str]] = {
    "copy": ("tallyport.cli.transfers:copy", "Copy a folder; the source is never changed."),
    "sync": ("tallyport.cli.transfers:sync", "Keep two folders equal, both ways."),
    "publish": ("tallyport.cli.transfers:publish", "Make the destination a mirror of the source; extras go."),
    "move": ("tallyport.cli.transfers:move", "Copy a folder, verify all of it, then empty the source."),
    "migrate": ("tallyport.cli.transfers:migrate", "Copy, and delete each source item once it is verified."),
    "taxonomy": ("tallyport.cli.transfers:taxonomy", "Carry the folders alone, without their files."),
    "runs": ("tallyport.cli.runs:runs", "List, show, resume, retry and report runs."),
    "failed": ("tallyport.cli.failed:failed", "List the items that failed in a run, or group them by cause."),
    "explain": ("tallyport.cli.explain:explain", "Say what became of one path in a run, and why."),
    "serve": ("tallyport.cli.serve:serve", "Run the server: API, scheduler and workers in one process."),
    "selftest": ("tallyport.cli.selftest:selftest", "Attack this installation on scratch data, and print a scorecard."),
    "worker": ("tallyport.cli.worker:worker", "Run one more worker beside a server on PostgreSQL."),
    "jobs": ("tallyport.cli.jobs:jobs", "Work with the jobs of a server."),
    "schedules": ("tallyport.cli.schedules:schedules", "See and change when the jobs of a server run."),
    "connections": ("tallyport.cli.connections:connections", "Work with the connections of a server."),
    "maps": ("tallyport.cli.maps:maps", "Say who an account or group of one side is on the other."),
    "webhooks": ("tallyport.cli.webhooks:webhooks", "Have events of a server sent to an address."),
    "audit": ("tallyport.cli.audit:audit", "Read the record of what people did to a server."),
    "users": ("tallyport.cli.users:users", "Add, change and list the accounts of a data folder."),
    "tokens": ("tallyport.cli.tokens:tokens", "Make, list, rotate and revoke access tokens."),
    "secrets": ("tallyport.cli.secrets:secrets", "Make and change the key that seals the secrets of connections."),
    "db": ("tallyport.cli.db:db", "Back up, move and upgrade the ledger."),
    "doctor": ("tallyport.cli.doctor:doctor", "Look for what could go wrong on this machine."),
    "completion": ("tallyport.cli.completion:completion", "Print the completion script of a shell."),
    "version": ("tallyport.cli.version:version", "Print the version."),
}

EPILOG = """\b
Examples:
  tallyport copy /data/projects /mnt/new/projects
  tallyport failed 1 --by-reason
  tallyport serve --port 9090
"""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are used, and whose errors end in an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in COMMANDS and not ctx.resilient_parsing:
            raise click.exceptions.NoSuchCommand(args[0], possibilities=list(COMMANDS), ctx=ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except TallyportError as error:
            raise Stop(code_of(error), error.message) from error
        except (MemoryError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and "can't start new thread" not in str(error):
                raise
            lack = "this process may not have as much memory, or as many threads, as it needs"
            raise Stop(Exit.ERROR, f"{lack}: raise its limits (ulimit -a), or use fewer --movers") from error
        except KeyboardInterrupt:
            # Outside a run: while it started, or in a command that has none.
            raise Stop(Exit.INTERRUPTED, "interrupted") from None


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EPILOG,
)
@click.version_option(__version__, message="tallyport %(version)s")
def tallyport() -> None:
    """Copy, sync and migrate content, and account for every item."""


def main() -> None:
    """Run the command line and end the process."""
    for stream in (sys.stdout, sys.stderr):
        # A file name may hold bytes that the terminal's encoding cannot show.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    tallyport(prog_name="tallyport")
