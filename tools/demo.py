"""Shows the main job on sample data: it runs, meets an item it cannot carry, and is brought to its right end.

Everything is real: the server, the API, the ledger. All of it is in one folder, which is named at the start
and kept at the end, so that you can look around in it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import shlex
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from tallyport.client import Client, ClientError, Job
from tallyport.testing import compare, trees

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MARK = "made by the Tallyport demonstration.txt"  # in a folder that the next demonstration may replace
BLOCKED = "links/target.txt"  # the item that cannot be carried at first
PATIENCE = 120.0  # seconds for each wait

# The job as a DryvIQ script would send it: the ids and the two paths are ours.
JOB: dict[str, Any] = {
    "name": "Job: All Features",
    "kind": "transfer",
    "transfer": {
        "transfer_type": "copy",
        "audit_level": "trace",
        "batch_mode": "always",
        "conflict_resolution": "latest",
        "delete_propagation": "ignore_both",
        "failure_policy": "continue",
        "large_item": "skip",
        "lock_propagation": "ignore",
        "max_items_per_container": 10000,
        "performance": {"parallel_writes": {"requested": 2}},
        "permissions": {"policy": "add", "links": True, "failures": "exceptions"},
        "preserve_owners": True,
        "timestamps": True,
        "empty_containers": "create",
        "duplicate_names": "rename",
        "item_overwrite": "overwrite",
        "restricted_content": "convert",
        "segment_transform": True,
        "versioning": {"preserve": "native", "select": "all"},
        "group_map": {"id": "{{group_map_id}}", "type": "group_map"},
        "account_map": {"id": "{{account_map_id}}", "type": "account_map"},
        "filter": {
            "source": [{"action": "exclude", "rules": [{"type": "filter_shared"}], "type": "filter_rule"}],
            "destination": [{"action": "exclude", "rules": [{"type": "filter_shared"}], "type": "filter_rule"}],
        },
        "source": {
            "connection": {"id": "{{cloud_connection_source}}"},
            "impersonate_as": {"email": "jsmith@company.com"},
            "target": {"path": "/source"},
        },
        "destination": {
            "connection": {"id": "{{cloud_connection_destination}}"},
            "impersonate_as": {"email": "bsmith@company.com"},
            "target": {"path": "/destination"},
        },
        "simulation_mode": False,
    },
    "schedule": {"mode": "manual"},
    "stop_policy": {"on_success": 5, "on_failure": 5, "on_execute": 25},
    "category": {"name": "Report | Category Title"},
}


class Server(NamedTuple):
    """A running server, and how to speak to it."""

    url: str
    token: str
    client: Client


class Trouble(Exception):
    """What went wrong, for the person who watches."""


def main() -> int:
    """Run the demonstration; 0 when both trees are equal at its end."""
    options = arguments()
    folder = os.path.abspath(options.folder)
    source, destination = os.path.join(folder, "source"), os.path.join(folder, "destination")
    try:
        make_room(folder)
        say("1", f"a sample tree, in {shown(folder)}")
        made = trees.sample_tree(source, files=options.files)
        size = f"{made.bytes / 2**20:.0f} MiB"
        tell(f"{made.files:,} files, {made.folders} folders and {made.symlinks} symlinks: {size}")
        tell("among them awkward names, empty files and folders, hard links, a sparse file")
        os.makedirs(os.path.join(destination, BLOCKED))
        tell(f"and a folder at the destination where the source has the file {BLOCKED}: it cannot be carried")

        with serving(folder) as server:
            job = first_run(server, folder)
            retry(server, job, destination)

        say("7", "both trees, byte for byte, with times, modes, owners, links and holes")
        found = compare.differences(source, destination)
        tell(f"{len(found)} differences")
        for line in found:
            tell(f"  {line}")
    except (Trouble, ClientError) as trouble:
        print(f"\nThe demonstration stopped: {trouble}", file=sys.stderr)
        return 1
    farewell(folder)
    return 1 if found else 0


def first_run(server: Server, folder: str) -> Job:
    """Make the job, run it, and show what became of each item. Returns the job as it ended."""
    client = server.client
    say("3", "two connections and a job, by the API")
    ends = []
    for name in ("demo source", "demo destination"):
        made = client.connections.create("fs", {"path": folder}, name=name)
        tell(f"POST /v1/connections → {made.name}: {made.id}")
        ends.append(made.id)
    job = client.jobs.create(filled_in(JOB, source=ends[0], destination=ends[1]))
    tell(f"POST /v1/jobs → job {job.id}")
    for warning in job.warnings:
        tell(f"warning: {warning}")

    say("4", "the job runs")
    client.jobs.start(job)
    tell(f"PATCH /v1/jobs/{job.id}?start=1")
    ended = watch(client, job)
    tell_items(client, job)

    say("5", "what could not be carried")
    failed = failed_items(server, ended)
    if len(failed) != 1:
        raise Trouble(f"one item was meant to fail, not {len(failed)}")
    return ended


def retry(server: Server, job: Job, destination: str) -> None:
    """Remove the cause, try the failed item again, and show that nothing else was touched."""
    client = server.client
    say("6", "the cause is removed, and only that item is tried again")
    os.rmdir(os.path.join(destination, BLOCKED))
    before = compare.snapshot(destination)
    client.jobs.retry(job)
    tell(f"POST /v1/jobs/{job.id}/retry")
    ended = watch(client, job)
    after = compare.snapshot(destination)
    files = sorted(path for path in after if before.get(path) != after[path] and is_file(destination, path))
    tell(f"written at the destination: {', '.join(files)}")
    tell_items(client, job)
    if failed_items(server, ended):
        raise Trouble("the retry left failed items")


def watch(client: Client, job: Job) -> Job:
    """Show a job's progress until its newest execution has ended; returns the job as it is then."""
    last = ""

    def show(seen: Job) -> None:
        nonlocal last
        line = f"{seen.state:<10} {seen.progress or 0:>3} %"
        if line != last:
            tell(line)
            last = line

    ended = client.jobs.wait(job, timeout=PATIENCE, seen=show)
    tell(f"execution {ended.execution} is {ended.state}: {ended.info}")
    return ended


def tell_items(client: Client, job: Job) -> None:
    """Page through all items and count them by their status."""
    statuses = Counter(item.status for item in client.items.iterate(job))
    words = ", ".join(f"{number:,} {status}" for status, number in sorted(statuses.items()))
    tell(f"GET /v1/transfers/items → {statuses.total():,} items, folders among them: {words}")


def failed_items(server: Server, job: Job) -> list[object]:
    """Show the failed items of a job's newest execution, byte for byte as any HTTP client gets them."""
    path = f"/Job/{job.execution}/FailedItems"
    headers = {"Authtoken": server.token, "Accept": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(server.url + path, headers=headers)) as answer:
        document = json.load(answer)
    tell(f"GET {path}")
    for line in json.dumps(document, indent=2, ensure_ascii=False).splitlines():
        tell(f"  {line}")
    found: list[object] = document["failedItems"]
    return found


def filled_in(job: dict[str, Any], *, source: str, destination: str) -> dict[str, Any]:
    """Put ids in the places of the published sample that wait for one."""
    text = json.dumps(job)
    text = text.replace("{{cloud_connection_source}}", source)
    text = text.replace("{{cloud_connection_destination}}", destination)
    filled: dict[str, Any] = json.loads(text)
    for name in ("account_map", "group_map"):  # both folders are of one machine, which knows everybody
        filled["transfer"][name] = {"type": name, "map_by": {"passthrough": True}}
    return filled


# The server


@contextlib.contextmanager
def serving(folder: str) -> Iterator[Server]:
    """Run the server with a data folder of its own and an administrator; stop it at the end."""
    data, log = os.path.join(folder, "data"), os.path.join(folder, "server.log")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    say("2", f"the server, on {url}")
    with open(log, "wb") as words:
        command = ["serve", "--host", "127.0.0.1", "--port", str(port), "--data", data]
        program = subprocess.Popen(tallyport(*command), stdin=subprocess.DEVNULL, stdout=words, stderr=words)
    try:
        wait_for(url, program, log)
        tell(f"GET /healthz → 200; process {program.pid}; it writes to {shown(log)}")
        run("users", "add", "demo", "--role", "admin", "--password-stdin", data=data, given=secrets.token_hex(16))
        token = run("tokens", "create", "--user", "demo", data=data).strip()
        tell("a user and a token for it, by `tallyport users add` and `tallyport tokens create`")
        with Client(url, token) as client:
            yield Server(url, token, client)
    finally:
        program.terminate()
        try:
            program.wait(30)
        except subprocess.TimeoutExpired:
            program.kill()
            program.wait()


def wait_for(url: str, program: subprocess.Popen[bytes], log: str) -> None:
    """Wait until the server answers."""
    end = time.monotonic() + PATIENCE
    with Client(url) as client:
        while True:
            try:
                client.health()
                return
            except ClientError:
                if program.poll() is not None or time.monotonic() > end:
                    raise Trouble(f"the server did not start; {shown(log)} says why") from None
                time.sleep(0.05)


def run(*command: str, data: str, given: str = "") -> str:
    """Run a command of ours and return what it printed."""
    done = subprocess.run(
        tallyport(*command, "--data", data), input=given + "\n", capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise Trouble(f"`tallyport {' '.join(command)}` ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def tallyport(*command: str) -> list[str]:
    return [sys.executable, "-m", "tallyport", *command]


# Saying and tidying


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="The main job on sample data.")
    parser.add_argument("--folder", default=os.path.join(ROOT, "demo-data"), help="default: demo-data, here")
    parser.add_argument("--files", type=int, default=2_000, help="files in the sample tree (default 2000)")
    return parser.parse_args()


def make_room(folder: str) -> None:
    """Make the demonstration's folder anew; refuse to touch one that it did not make."""
    if os.path.lexists(folder):
        if not os.path.exists(os.path.join(folder, MARK)):
            raise Trouble(f"{shown(folder)} is there already and not mine: choose another with --folder")
        trees.remove_tree(folder)
    os.makedirs(folder)
    with open(os.path.join(folder, MARK), "w", encoding="utf-8") as stream:
        stream.write("Remove this folder whenever you like. The next demonstration replaces it.\n")


def farewell(folder: str) -> None:
    """Say where everything is and what to try next."""
    data = os.path.join(folder, "data")
    command = "python3 dev.py run --"
    say("8", "what is left, and what to try next")
    tell(f"the ledger, with every item of both executions, is in {shown(data)}")
    where = f"--data {shlex.quote(shown(data))}"
    tell("look at the runs:           " + f"{command} runs list {where}")
    tell("why did an item end so:     " + f"{command} explain 1 {shlex.quote('/' + BLOCKED)} {where}")
    tell("the same server again:      " + f"python3 dev.py serve {where}")
    tell("a folder of your own:       " + f"{command} copy SOURCE DESTINATION")
    tell("everything it can do:       " + f"{command} --help")


def is_file(root: str, path: str) -> bool:
    whole = os.path.join(root, path)
    return os.path.isfile(whole) and not os.path.islink(whole)


def shown(path: str) -> str:
    """Write a path from where the reader stands, if it is below."""
    below = os.path.relpath(path)
    return path if below.startswith("..") else below


def say(number: str, what: str) -> None:
    """Print the head of a step."""
    print(f"\n{number}  {what}", flush=True)


def tell(what: str) -> None:
    """Print a line of a step."""
    print(f"   {what}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
