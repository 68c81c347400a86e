"""Writes the reference pages that are made from code. ``python -m tools.docs`` writes, ``--check`` fails when stale."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Iterator

import click

from tallyport.cli.exits import WORDS, Exit
from tallyport.cli.main import COMMANDS, tallyport
from tallyport.domain.actions import Reason
from tallyport.domain.errors import REMEDIES as TABLE
from tallyport.domain.errors import ErrorKind
from tallyport.domain.items import Status
from tallyport.domain.settings import SETTINGS
from tallyport.domain.words import ADVICE, REASONS, REMEDIES, SCOPES, STATUSES

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MADE = "<!-- Made by `python -m tools.docs` from the code. Do not edit. -->"


def reasons() -> Iterator[str]:
    """Yield the page of reasons."""
    yield "# Reasons"
    yield ""
    yield "Every item in the ledger has a reason: why it got its action, or why it failed. The list is closed, and a"
    yield "word is never given another meaning. `tallyport explain RUN PATH` shows the reason of one item,"
    yield "`tallyport failed RUN --by-reason` groups the failed ones."
    yield ""
    yield "## States of an item"
    yield ""
    yield "| state | means |"
    yield "| --- | --- |"
    for status in Status:
        name = status.name.lower()
        yield f"| `{name}` | {STATUSES[name]} |"
    for title, wanted in (
        ("Nothing to do", _before(Reason.NEW_AT_SOURCE)),
        ("Something to do", _between(Reason.NEW_AT_SOURCE, Reason.IGNORED_ONE_WAY_TRANSFER)),
        ("Left out on purpose", _between(Reason.IGNORED_ONE_WAY_TRANSFER, Reason.NOT_FOUND)),
        ("Went wrong", _between(Reason.NOT_FOUND, None)),
    ):
        yield ""
        yield f"## {title}"
        yield ""
        yield "| reason | means | what to do |"
        yield "| --- | --- | --- |"
        for reason in wanted:
            yield f"| `{reason}` | {REASONS.get(reason, '')} | {ADVICE.get(reason, '')} |"


def errors() -> Iterator[str]:
    """Yield the page of error kinds."""
    yield "# Errors"
    yield ""
    yield "An error says what happened (its kind). What the engine does about it, when no policy says otherwise, is"
    yield "this one table. The kind is stored as the item's [reason](reasons.md)."
    yield ""
    yield "| kind | what happened | reaches | what the engine does |"
    yield "| --- | --- | --- | --- |"
    for kind in ErrorKind:
        scope, remedy = TABLE[kind]
        yield f"| `{kind}` | {REASONS.get(kind, '')} | {SCOPES[scope]} | {REMEDIES[remedy]} |"


def exit_codes() -> Iterator[str]:
    """Yield the page of exit codes."""
    yield "# Exit codes"
    yield ""
    yield "Every command ends with one of these. A number is never given another meaning."
    yield ""
    yield "| code | means | then |"
    yield "| --- | --- | --- |"
    for code in Exit:
        means, then = WORDS[code]
        yield f"| {int(code)} | {means} | {then} |"
    yield ""
    yield "With `--json` a run's last line on standard output is one JSON object, whatever the exit code: `run_id`,"
    yield "`status`, `items`, `bytes`, `failed`, `skipped`, `seconds`, and more. `items` counts every item accounted"
    yield "for and `bytes` the sizes of all source files seen; what this run itself wrote is in `transferred` and"
    yield "`transferred_bytes`. `run_id` is null when no run came about, and `error` then says why."


def settings() -> Iterator[str]:
    """Yield the page of settings."""
    yield "# Settings"
    yield ""
    yield "An option wins over the environment, the environment over the default. Policies belong to a job and are in"
    yield "[policies](policies.md)."
    yield ""
    yield "| variable | option | default | what it is |"
    yield "| --- | --- | --- | --- |"
    for setting in SETTINGS:
        option = f"`{setting.option}`" if setting.option.startswith("-") else setting.option
        yield f"| `{setting.name}` | {option} | {setting.default} | {setting.words} |"


def command_line() -> Iterator[str]:
    """Yield the page of commands."""
    yield "# Command line"
    yield ""
    yield "Data goes to standard output, progress and messages to standard error. Nothing is coloured, and progress is"
    yield "drawn on a terminal only. Every command takes `--help`. How a command ends: [exit codes](exit-codes.md)."
    yield ""
    yield "| command | does |"
    yield "| --- | --- |"
    for name, (_, words) in COMMANDS.items():
        yield f"| [`{name}`](#tallyport-{name}) | {words} |"
    context = click.Context(tallyport, info_name="tallyport")
    for name in COMMANDS:
        command = tallyport.get_command(context, name)
        assert command is not None
        yield from _command(command, click.Context(command, info_name=name, parent=context), 2)


def _command(command: click.Command, context: click.Context, depth: int) -> Iterator[str]:
    yield ""
    yield f"{'#' * depth} {context.command_path}"
    yield ""
    yield "```"
    yield " ".join([context.command_path, *command.collect_usage_pieces(context)])
    yield "```"
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        yield ""
        if paragraph.startswith("\b"):
            lines = paragraph.splitlines()[1:]
            examples = [line.strip() for line in lines if line.startswith(" ") or "tallyport" in line]
            yield from [line for line in lines if line.strip() not in examples]
            yield from ["", "```", *examples, "```"] if examples else []
        else:
            yield " ".join(paragraph.split())
    records = [record for p in command.get_params(context) if (record := p.get_help_record(context)) is not None]
    records = [(option, words) for option, words in records if "--help" not in option]
    if records and not isinstance(command, click.Group):
        yield ""
        yield "| option | |"
        yield "| --- | --- |"
        for option, words in records:
            yield f"| `{option.replace('|', chr(92) + '|')}` | {' '.join(words.split()).replace('|', chr(92) + '|')} |"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            sub = command.get_command(context, name)
            assert sub is not None
            yield from _command(sub, click.Context(sub, info_name=name, parent=context), depth + 1)


def _before(end: Reason) -> list[Reason]:
    found = list(Reason)
    return found[: found.index(end)]


def _between(start: Reason, end: Reason | None) -> list[Reason]:
    found = list(Reason)
    return found[found.index(start) : None if end is None else found.index(end)]


def platforms() -> Iterator[str]:
    """Write what each platform can do, from what its connector implements and declares."""
    from tallyport.connectors import protocol, registry
    from tallyport.connectors.declared import declared

    yield "# Platforms"
    yield ""
    yield "What a connection can do follows from its connector: an ability is a method that is there. Some abilities"
    yield "depend on the connection (a bucket without versions has none). Numbers are what the platform declares, where"
    yield "they do not depend on the connection; a probe corrects them (`tallyport connections probe`)."
    yield ""
    found = {one.id: declared(one) for one in registry.PLATFORMS.values()}
    abilities = [name for name in ABILITIES if any(name in one.abilities for one in found.values())]
    yield f"| ability | {' | '.join(found)} |"
    yield f"| --- |{' --- |' * len(found)}"
    for name in abilities:
        doc = (getattr(protocol, name).__doc__ or "").strip().splitlines()[0].rstrip(".")
        marks = " | ".join("yes" if name in one.abilities else "-" for one in found.values())
        yield f"| {doc} (`{name}`) | {marks} |"
    yield ""
    fixed = {name: one.limits for name, one in found.items() if one.limits is not None}
    yield f"| declared | {' | '.join(fixed)} |"
    yield f"| --- |{' --- |' * len(fixed)}"
    for fact in DECLARED:
        yield f"| `{fact}` | {' | '.join(_shown(getattr(limits, fact)) for limits in fixed.values())} |"


DECLARED = (
    *("time_precision", "max_size", "max_path", "case_sensitive", "atomic_replace", "creates_only", "best_verify"),
    "containers_implied",
)
ABILITIES = (
    *("Stamps", "Moves", "Copies", "Uploads", "Pages", "Glimpses", "Pins", "Hashes", "Versions", "Counts"),
    *("Grants", "Principals", "Locks", "Properties", "Links", "Syncs", "Sweeps", "Forgets"),
)


def _shown(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(getattr(value, "name", value)).lower()


PAGES: dict[str, Callable[[], Iterator[str]]] = {
    "docs/reference/reasons.md": reasons,
    "docs/reference/errors.md": errors,
    "docs/reference/exit-codes.md": exit_codes,
    "docs/reference/settings.md": settings,
    "docs/reference/cli.md": command_line,
    "docs/reference/platforms.md": platforms,
}


def text_of(page: Callable[[], Iterator[str]]) -> str:
    """Give a page as it stands in its file."""
    title, *rest = page()
    return "\n".join([title, "", MADE, *rest]) + "\n"


def stale() -> list[str]:
    """Name the pages that are not what the code says."""
    found = []
    for name, page in PAGES.items():
        try:
            with open(os.path.join(ROOT, name), encoding="utf-8") as stream:
                is_fresh = stream.read() == text_of(page)
        except FileNotFoundError:
            is_fresh = False
        if not is_fresh:
            found.append(name)
    return found


def main(arguments: list[str]) -> int:
    """Write the pages, or with ``--check`` say which are stale."""
    # The width of a terminal must not show in a page.
    os.environ["COLUMNS"] = "100"
    if arguments not in ([], ["--check"]):
        print("usage: python -m tools.docs [--check]", file=sys.stderr)
        return 2
    names = stale()
    if arguments:
        for name in names:
            print(f"{name} is not what the code says: run `python -m tools.docs`")
        return 1 if names else 0
    for name in names:
        path = os.path.join(ROOT, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(text_of(PAGES[name]))
        print(f"wrote {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
