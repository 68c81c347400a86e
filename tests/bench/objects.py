"""Measures S3 beside rclone and s5cmd on one local server: W5 (put), W6 (get), W7 (one big file, both ways).

    python tests/bench/objects.py [--files 10000] [--big 2048] [--width 32]

Each tool runs as a process of its own against the same SeaweedFS; wall seconds and CPU seconds of the tool are printed.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tallyport.testing import object_servers
from tallyport.testing.object_servers import ACCESS_KEY, BUCKET, SECRET_KEY, program


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--big", type=int, default=2_048, help="MiB of the one big file; 0 leaves it out")
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--tools", default="tallyport,rclone,s5cmd")
    chosen = parser.parse_args()
    with object_servers.seaweed() as server, tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "AWS_ENDPOINT_URL": server.endpoint,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": "us-east-1",
            "S3_ENDPOINT_URL": server.endpoint,
            "RCLONE_S3_PROVIDER": "Other",
            "RCLONE_S3_ENDPOINT": server.endpoint,
            "RCLONE_S3_ACCESS_KEY_ID": ACCESS_KEY,
            "RCLONE_S3_SECRET_ACCESS_KEY": SECRET_KEY,
            "RCLONE_CONFIG": os.devnull,
        }
        work = Path(folder)
        loads = {"small": make_small(work / "small", chosen.files)}
        if chosen.big:
            loads["big"] = make_big(work / "big", chosen.big)
        for load, source in loads.items():
            for tool in chosen.tools.split(","):
                place, back = f"{tool}-{load}", work / f"back-{tool}-{load}"
                back.mkdir()
                for way, command in (
                    ("put", put(tool, source, place, chosen.width, work)),
                    ("get", get(tool, back, place, chosen.width, work)),
                ):
                    wall, cpu, code = measured(command, environment)
                    print(f"{load:6} {way} {tool:10} wall {wall:7.2f} s  cpu {cpu:7.2f} s  exit {code}", flush=True)


def put(tool: str, source: Path, place: str, width: int, work: Path) -> list[str]:
    match tool:
        case "rclone":
            return [program("rclone"), "copy", str(source), f":s3:{BUCKET}/{place}", "--transfers", str(width)]
        case "s5cmd":
            return [program("s5cmd"), "--numworkers", str(width), "cp", f"{source}/", f"s3://{BUCKET}/{place}/"]
        case _:
            return ours(str(source), f"s3://{BUCKET}/{place}", width, work / "data")


def get(tool: str, back: Path, place: str, width: int, work: Path) -> list[str]:
    match tool:
        case "rclone":
            return [program("rclone"), "copy", f":s3:{BUCKET}/{place}", str(back), "--transfers", str(width)]
        case "s5cmd":
            return [program("s5cmd"), "--numworkers", str(width), "cp", f"s3://{BUCKET}/{place}/*", f"{back}/"]
        case _:
            return ours(f"s3://{BUCKET}/{place}", str(back), width, work / "data")


def ours(source: str, destination: str, width: int, data: Path) -> list[str]:
    command = [sys.executable, "-m", "tallyport", "copy", source, destination, "--data", str(data), "-q"]
    return [*command, "--policy", f"performance.parallel_writes.requested={width}"]


def measured(command: Sequence[str], environment: dict[str, str]) -> tuple[float, float, int]:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    done = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    wall = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        print(done.stderr.decode()[-500:], file=sys.stderr)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.returncode


def make_small(folder: Path, count: int) -> Path:
    for number in range(count):
        parent = folder / f"d{number // 1000:03}"
        parent.mkdir(parents=True, exist_ok=True)
        (parent / f"f{number:06}").write_bytes(os.urandom(16 * 1024))
    return folder


def make_big(folder: Path, mebibytes: int) -> Path:
    folder.mkdir()
    with open(folder / "big", "wb") as file:
        for _ in range(mebibytes):
            file.write(os.urandom(1024 * 1024))
    return folder


if __name__ == "__main__":
    main()
