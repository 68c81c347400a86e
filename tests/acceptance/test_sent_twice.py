"""A request that is sent again after the server was killed is carried out once."""

from __future__ import annotations

import urllib.error
from pathlib import Path

import pytest

from tests.vendors.conftest import first_user, started


def test_a_key_is_remembered_over_a_kill(tmp_path: Path) -> None:
    token = first_user(tmp_path)
    server, process = started(tmp_path, token)
    ends = {
        "source": {"connection": {"id": server.connection("from", {"a.txt": "a"})}},
        "destination": {"connection": {"id": server.connection("to")}},
    }
    body = {"name": "once", "transfer": {"transfer_type": "copy", **ends}}
    first = server.call("POST", "/v1/jobs", body, key="k")
    process.kill()
    process.wait(20)
    again, process = started(tmp_path, token)
    try:
        assert again.call("POST", "/v1/jobs", body, key="k") == first
        assert again.call("GET", "/v1/jobs?profile=dryviq")["meta"]["total_count"] == 1
        with pytest.raises(urllib.error.HTTPError) as caught:
            again.call("POST", "/v1/jobs", {**body, "name": "twice"}, key="k")
        assert caught.value.code == 422
        caught.value.close()
    finally:
        process.terminate()
        process.wait(20)
