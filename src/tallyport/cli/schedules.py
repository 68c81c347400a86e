"""``tallyport schedules``: when the jobs of a server run."""

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from tallyport.cli.connections import read_json
from tallyport.cli.options import json_option
from tallyport.cli.remote import server, server_options
from tallyport.cli.showing import line, table

if TYPE_CHECKING:
    from tallyport.client import Job


@click.group()
def schedules() -> None:
    """See and change when jobs run by themselves. JOB is a job's id."""


@schedules.command("list")
@json_option
@server_options
def list_(as_json: bool, url: str, token_file: str | None) -> None:
    """List the jobs that run by themselves, with their next run."""
    with server(url, token_file) as client:
        found = [job for job in client.jobs.list() if _schedule(job).get("mode") == "auto"]
    if as_json:
        click.echo(json.dumps({"jobs": [job.raw for job in found]}))
        return
    rows = [(job.id, _next(job), _words(_schedule(job)), job.name) for job in found]
    for text in table(("ID", "NEXT RUN", "WHEN", "NAME"), rows):
        click.echo(text)


@schedules.command()
@click.argument("job")
@json_option
@server_options
def show(job: str, as_json: bool, url: str, token_file: str | None) -> None:
    """Show the schedule of a job and its next run."""
    with server(url, token_file) as client:
        found = client.jobs.get(job)
    if as_json:
        click.echo(json.dumps(found.raw))
        return
    click.echo(f"next run  {_next(found)}\nwhen      {_words(_schedule(found))}")
    click.echo(json.dumps(_schedule(found), indent=2))


@schedules.command("set")
@click.argument("job")
@click.option("--cron", metavar="EXPRESSION", help="Five fields, or @daily and its kin.")
@click.option("--time-zone", metavar="NAME", help="For instance Europe/Paris. Default: UTC.")
@click.option("--every", metavar="INTERVAL", help="From the end of a run to the next: 90s, 15m, 6h, 2d.")
@click.option("--manual", is_flag=True, help="Nothing runs by itself any more.")
@click.option("--file", "-f", "file", metavar="FILE.json", help="A whole schedule; - is standard input.")
@click.option("--hold", is_flag=True, help="Keep the next run until somebody starts it.")
@json_option
@server_options
def set_(
    job: str,
    cron: str | None,
    time_zone: str | None,
    every: str | None,
    manual: bool,
    file: str | None,
    hold: bool,
    as_json: bool,
    url: str,
    token_file: str | None,
) -> None:
    """Give a job another schedule."""
    if sum((cron is not None, every is not None, manual, file is not None)) != 1:
        raise click.UsageError("give one of --cron, --every, --manual and --file")
    old = ("days", "run_at", "cron", "time_zone", "repeat_interval", "start_window", "end_window", "repeat_count")
    wanted: dict[str, Any] = dict.fromkeys(old)  # null takes away what the job has
    if file is not None:
        wanted |= read_json(file)
    elif manual:
        wanted["mode"] = "manual"
    else:
        wanted |= {"mode": "auto", "cron": cron, "time_zone": time_zone}
        wanted["repeat_interval"] = None if every is None else _interval(every)
    with server(url, token_file) as client:
        found = client.jobs.schedule(job, wanted, held=hold)
    for warning in found.warnings:
        click.echo(f"note: {line(warning)}", err=True)
    click.echo(json.dumps(found.raw) if as_json else f"next run  {_next(found)}")


def _interval(text: str) -> dict[str, Any]:
    number, unit = text[:-1], text[-1:]
    if unit not in "smhd" or not number.isdecimal() or not int(number):
        raise click.UsageError(f"--every {text}: give a number and one of s, m, h, d, for instance 15m")
    return {"value": int(number), "unit": unit}


def _view(job: "Job") -> dict[str, Any]:
    inner = job.raw.get("job", job.raw)
    return dict(inner) if isinstance(inner, dict) else {}


def _schedule(job: "Job") -> dict[str, Any]:
    return dict(_view(job).get("schedule") or {})


def _next(job: "Job") -> str:
    view = _view(job)
    if view.get("held"):
        return "held"
    at = view.get("execute_on")
    return "-" if at is None else f"{datetime.fromtimestamp(int(at), UTC):%Y-%m-%d %H:%M} UTC"


def _words(schedule: dict[str, Any]) -> str:
    if schedule.get("mode", "manual") != "auto":
        return str(schedule.get("mode", "manual"))
    zone = f" ({schedule['time_zone']})" if schedule.get("time_zone") else ""
    if schedule.get("cron"):
        return f"cron {schedule['cron']}{zone}"
    if schedule.get("run_at"):
        at = schedule["run_at"]
        return f"at {int(at.get('hr', 0)):02}:{int(at.get('min', 0)):02}{zone}"
    every = schedule.get("repeat_interval") or {"value": 15, "unit": "m"}
    return f"every {every['value']}{every['unit']}{zone}"
