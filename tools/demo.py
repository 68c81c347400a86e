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
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from typing import Any

from tallyport.testing import compare, trees

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MARK = "made by the Tallyport demonstration.txt"  # in a folder that the next demonstration may replace
BLOCKED = "deep/level 0/file.txt"  # the item that cannot be carried at first
PATIENCE = 120.0  # seconds for each wait

# The job as a DryvIQ script would send it; only the ids and the two paths are ours.
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

        with serving(folder) as api:
            job, execution = first_run(api, folder)
            retry(api, job, execution, destination)

        say("7", "both trees, byte for byte, with times, modes, owners, links and holes")
        found = compare.differences(source, destination)
        tell(f"{len(found)} differences")
        for line in found:
            tell(f"  {line}")
    except Trouble as trouble:
        print(f"\nThe demonstration stopped: {trouble}", file=sys.stderr)
        return 1
    farewell(folder)
    return 1 if found else 0


def first_run(api: Api, folder: str) -> tuple[str, int]:
    """Make the job, run it, and show what became of each item. Returns the job and its execution."""
    say("3", "two connections and a job, by the API")
    ends = [connection(api, name, folder) for name in ("demo source", "demo destination")]
    body = filled_in(JOB, source=ends[0], destination=ends[1])
    answer = api.call("POST", "/v1/jobs", body)
    job = str(answer["job"]["id"])
    tell(f"POST /v1/jobs → {answer['status']}, job {job}")
    for warning in answer.get("warnings", []):
        tell(f"warning: {warning if isinstance(warning, str) else json.dumps(warning)}")

    say("4", "the job runs")
    api.call("PATCH", f"/v1/jobs/{job}?start=1")
    execution = watch(api, job)
    tell_items(api, job)

    say("5", "what could not be carried")
    failed = api.call("GET", f"/Job/{execution}/FailedItems", authtoken=True)
    tell(f"GET /Job/{execution}/FailedItems")
    for line in json.dumps(failed, indent=2, ensure_ascii=False).splitlines():
        tell(f"  {line}")
    if len(failed["failedItems"]) != 1:
        raise Trouble(f"one item was meant to fail, not {len(failed['failedItems'])}")
    return job, execution


def retry(api: Api, job: str, execution: int, destination: str) -> None:
    """Remove the cause, try the failed item again, and show that nothing else was touched."""
    say("6", "the cause is removed, and only that item is tried again")
    os.rmdir(os.path.join(destination, BLOCKED))
    before = compare.snapshot(destination)
    api.call("POST", f"/v1/jobs/{job}/retry")
    again = watch(api, job, after=execution)
    after = compare.snapshot(destination)
    files = sorted(path for path in after if before.get(path) != after[path] and is_file(destination, path))
    tell(f"execution {again} wrote {len(files)} file: {', '.join(files)}")
    tell_items(api, job)
    failed = api.call("GET", f"/Job/{again}/FailedItems", authtoken=True)["failedItems"]
    tell(f"{len(failed)} failed items")
    if failed:
        raise Trouble(f"the retry left {failed}")


def watch(api: Api, job: str, *, after: int = 0) -> int:
    """Show a job's progress until its execution has ended; returns the execution's number."""
    last = ""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        answer = api.call("GET", f"/v1/jobs/{job}")
        view, data = answer["job"], answer["data"]
        execution = view.get("execution") or view.get("previous_execution") or {}
        number = int(execution.get("id") or 0)
        if number > after:
            line = f"{data['status']:<10} {data.get('progress') or 0:>3} %"
            if line != last:
                tell(line)
                last = line
            if data["status"] in ("complete", "failed", "canceled"):
                tell(f"execution {number} ended {execution.get('status') or data['status']}")
                return number
        time.sleep(0.1)
    raise Trouble(f"the job did not end within {PATIENCE:.0f} s")


def tell_items(api: Api, job: str) -> None:
    """Page through all items and count them by their status."""
    statuses = Counter(item["status"] for item in items(api, job))
    words = ", ".join(f"{number:,} {status}" for status, number in sorted(statuses.items()))
    tell(f"GET /v1/transfers/items → {statuses.total():,} items: {words}")


def items(api: Api, job: str) -> Iterator[dict[str, Any]]:
    """Yield every item of a job."""
    offset = 0
    while True:
        page = api.call("GET", f"/v1/transfers/items?job={job}&limit=1000&offset={offset}")
        yield from page["item"]
        offset += len(page["item"])
        if not page["meta"].get("has_more") or not page["item"]:
            return


def connection(api: Api, name: str, folder: str) -> str:
    """Make a connection to a folder; returns its id."""
    body = {"name": name, "platform": {"id": "fs"}, "auth": {"path": folder}}
    made = str(api.call("POST", "/v1/connections", body)["connection"]["id"])
    tell(f"POST /v1/connections → {name}: {made}")
    return made


def filled_in(job: dict[str, Any], *, source: str, destination: str) -> dict[str, Any]:
    """Put ids in the places of the published sample that wait for one."""
    text = json.dumps(job)
    text = text.replace("{{cloud_connection_source}}", source)
    text = text.replace("{{cloud_connection_destination}}", destination)
    for name in ("{{group_map_id}}", "{{account_map_id}}"):
        text = text.replace(name, secrets.token_hex(16))  # maps come with a later release; the id is only kept
    filled: dict[str, Any] = json.loads(text)
    return filled


# The server


class Api:
    """The little that is needed to speak to the server by hand."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.token = ""

    def call(self, method: str, path: str, body: object = None, *, authtoken: bool = False) -> Any:
        """Make a request and return the JSON of its answer."""
        sign_in = {"Authtoken": self.token} if authtoken else {"Authorization": f"Bearer {self.token}"}
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Accept": "application/json", "Content-Type": "application/json", **sign_in},
        )
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as refusal:
            raise Trouble(f"{method} {path} → {refusal.code}: {refusal.read().decode()}") from refusal

    def is_up(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


@contextlib.contextmanager
def serving(folder: str) -> Iterator[Api]:
    """Run the server with a data folder of its own and an administrator; stop it at the end."""
    data, log = os.path.join(folder, "data"), os.path.join(folder, "server.log")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    say("2", f"the server, on http://127.0.0.1:{port}")
    with open(log, "wb") as words:
        command = ["serve", "--host", "127.0.0.1", "--port", str(port), "--data", data]
        server = subprocess.Popen(tallyport(*command), stdin=subprocess.DEVNULL, stdout=words, stderr=words)
    api = Api(f"http://127.0.0.1:{port}")
    try:
        end = time.monotonic() + PATIENCE
        while not api.is_up():
            if server.poll() is not None or time.monotonic() > end:
                raise Trouble(f"the server did not start; {shown(log)} says why")
            time.sleep(0.05)
        tell(f"GET /healthz → 200; process {server.pid}; it writes to {shown(log)}")
        run(
            "users",
            "add",
            "demo",
            "--role",
            "admin",
            "--password-stdin",
            data=data,
            given=secrets.token_hex(16),
        )
        api.token = run("tokens", "create", "--user", "demo", data=data).strip()
        tell("a user and a token for it, by `tallyport users add` and `tallyport tokens create`")
        yield api
    finally:
        server.terminate()
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


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
