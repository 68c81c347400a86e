"""What is installed, and not the checkout, serves the console and the API's pages, with nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Iterator
from http.cookiejar import CookieJar

import pytest

from tests.acceptance import product

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ASSET = re.compile(r"""(?:src|href)="([^"#?]+\.(?:js|css|svg))(?:[#?][^"]*)?\"""")
IMPORT = re.compile(r"""from "\./([a-z_]+\.js)"|import "\./([a-z_]+\.js)\"""")


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> str:
    """Build a wheel and unpack it where nothing of the checkout is."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return str(folder / "site")


@pytest.fixture
def server(installed: str, tmp_path, monkeypatch: pytest.MonkeyPatch) -> Iterator[product.Server]:
    monkeypatch.setenv("PYTHONPATH", installed)
    made = product.Server(str(tmp_path / "data"), str(tmp_path / "log"))
    made.sign_in()
    made.start()
    yield made
    made.stop()


def test_the_installed_wheel_serves_the_console_and_the_docs(server: product.Server, installed: str) -> None:
    where = [sys.executable, "-c", "import tallyport; print(tallyport.__file__)"]
    assert subprocess.run(where, check=True, capture_output=True, text=True).stdout.startswith(installed)
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    first = opener.open(f"{server.url}/")
    assert first.url.startswith(f"{server.url}/console/sign-in")
    assert "Sign in" in first.read().decode()
    form = urllib.parse.urlencode({"name": "ada", "password": product.PASSWORD}).encode()
    assert "Dashboard" in opener.open(f"{server.url}/console/sign-in", form).read().decode()
    assets: set[str] = set()
    for page in ("/", "/docs", "/console/jobs", "/console/jobs/new", "/console/reports"):
        text = opener.open(f"{server.url}{page}").read().decode()
        found = set(ASSET.findall(text))
        assert found, page
        assert all(one.startswith("/console/static/") for one in found), page
        assets |= found
    for asset in sorted(assets):
        answer = opener.open(f"{server.url}{asset}")
        content = answer.read()
        assert answer.status == 200
        assert content, asset
        if asset.endswith(".js") and "/vendor/" not in asset:
            for one, other in IMPORT.findall(content.decode()):
                inner = f"{asset.rpartition('/')[0]}/{one or other}"
                assert opener.open(f"{server.url}{inner}").status == 200, inner
    document = opener.open(f"{server.url}/openapi.json").read()
    assert b'"openapi"' in document
