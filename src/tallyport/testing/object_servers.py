"""Object stores for tests, each a real server on loopback (``servers.py``)."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from tallyport.testing.servers import HOST, answers, free_port, running, scratch

ACCESS_KEY = "tallyport-test"
SECRET_KEY = "a secret of nobody"
BUCKET = "contract"
SOMEONE = "000000000042"  # canonical id of another account


class S3Server(NamedTuple):
    """A server that speaks S3, with one bucket."""

    endpoint: str

    def settings(self, **more: object) -> dict[str, object]:
        """Give the settings document of a connection to its bucket."""
        return {
            "bucket": BUCKET,
            "endpoint": self.endpoint,
            "region": "us-east-1",
            "access_key": ACCESS_KEY,
            "secret_key": SECRET_KEY,
            "addressing": "path",
            **more,
        }


def program(name: str) -> str:
    """Give the path of a program that the environment brings, before one of the system."""
    beside = os.path.join(os.path.dirname(sys.executable), name)
    return beside if os.path.exists(beside) else name


@contextmanager
def seaweed() -> Iterator[S3Server]:
    """SeaweedFS: conditions, checksums, versions. Collapses double slashes in keys."""
    with scratch("seaweed") as folder:
        identity = {
            "name": "tallyport",
            "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        config = os.path.join(folder, "s3.json")
        with open(config, "w", encoding="utf-8") as stream:
            accounts = [{"id": SOMEONE, "displayName": "someone", "emailAddress": "someone@test.invalid"}]
            other = {"name": "someone", "account": accounts[0], "credentials": [], "actions": ["Read"]}
            json.dump({"identities": [identity, other], "accounts": accounts}, stream)
        names = ("master", "volume", "filer", "s3")
        ports = dict(zip(names, _low_ports(len(names)), strict=True))
        command = [
            *(program("weed"), "server", f"-dir={folder}", f"-ip={HOST}", f"-ip.bind={HOST}", "-filer", "-s3"),
            *(f"-{name}.port={port}" for name, port in ports.items()),
            *(f"-s3.config={config}", "-volume.max=1000", "-master.volumeSizeLimitMB=256"),  # a bucket takes seven
            *(
                "-master.telemetry=false",
                "-s3.port.iceberg=0",
                "-s3.port.lance=0",
            ),
        ]
        server = S3Server(f"http://{HOST}:{ports['s3']}")
        with running(command, ports["s3"], folder, is_ready=lambda: answers(ports["s3"]) and _has_bucket(server)):
            yield server


@contextmanager
def moto() -> Iterator[S3Server]:
    """Moto: versions, canned access lists, any key. Accepts a wrong checksum."""
    with scratch("moto") as folder:
        port = free_port()
        server = S3Server(f"http://{HOST}:{port}")
        command = [program("moto_server"), "-H", HOST, "-p", str(port)]
        with running(command, port, folder, is_ready=lambda: answers(port) and _has_bucket(server)):
            yield server


@contextmanager
def lying_s3() -> Iterator[S3Server]:
    """``rclone serve s3``: ignores every condition, and says that it was kept."""
    with scratch("rclone-s3") as folder:
        port = free_port()
        os.mkdir(os.path.join(folder, "data"))
        server = S3Server(f"http://{HOST}:{port}")
        command = [program("rclone"), "--config", os.devnull, "serve", "s3", "--addr", f"{HOST}:{port}"]
        command += ["--auth-key", f"{ACCESS_KEY},{SECRET_KEY}", os.path.join(folder, "data")]
        with running(command, port, folder, is_ready=lambda: answers(port) and _has_bucket(server)):
            yield server


def _low_ports(count: int) -> list[int]:
    """Give ports whose sisters 10 000 above are free too: SeaweedFS speaks gRPC there."""
    found: list[int] = []
    while len(found) < count:
        port = free_port(below=22_000)
        if port not in found and not answers(port + 10_000):
            found.append(port)
    return found


def _has_bucket(server: S3Server) -> bool:
    """Make the bucket, or find that it is not time yet."""
    from botocore.exceptions import BotoCoreError, ClientError

    from tallyport.connectors.registry import platform
    from tallyport.connectors.s3_sdk import client_of

    client = client_of(platform("s3").read_settings(server.settings()))
    try:
        client.create_bucket(Bucket=BUCKET)
        client.put_object(Bucket=BUCKET, Key="ready", Body=b"yes")
        client.delete_object(Bucket=BUCKET, Key="ready")
    except (ClientError, BotoCoreError):
        return False
    finally:
        client.close()
    return True
