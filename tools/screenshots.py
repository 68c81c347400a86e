"""Takes the pictures of README and docs: ``python -m tools.screenshots``. Needs chromium and the dev environment.

A real server over a sample tree: one job ended with failed items, one runs slowly while the pictures are taken.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.acceptance.product import Server
from tests.web.browser.conftest import FLAGS, sign_in

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "images"
SIZE = (1280, 780)
KINDS = ("docx", "pdf", "xlsx", "jpg", "pptx")


def main(arguments: Sequence[str]) -> int:
    """Make the sample, serve it, take the pictures."""
    chromium = shutil.which("chromium")
    if chromium is None:
        print("chromium is missing. Debian: apt-get install chromium", file=sys.stderr)
        return 1
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="srv-") as scratch:
        place = Path(scratch)
        server = Server(str(place / "ledger"), str(place / "log"))
        server.sign_in()
        server.start()
        try:
            done, running = sample(server, place)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
                for dark in (False, True):
                    context = browser.new_context(
                        base_url=server.url,
                        viewport={"width": SIZE[0], "height": SIZE[1]},
                        color_scheme="dark" if dark else "light",
                        timezone_id="Europe/Berlin",
                        locale="en-GB",
                    )
                    page = context.new_page()
                    sign_in(page)
                    pictures(page, done, running, dark=dark)
                browser.close()
        finally:
            server.stop()
    for picture in sorted(FOLDER.glob("console-*.png")):
        print(f"{picture.relative_to(ROOT)}: {picture.stat().st_size:,} bytes")
    return 0


def sample(server: Server, place: Path) -> tuple[str, str]:
    """Make trees and jobs; give the job that ended and the one that runs."""
    random.seed(7)
    source, archive, nas = place / "team-drive", place / "archive", place / "nas"
    folders = ("Projects/Bridge 2025", "Projects/Harbour", "Finance/Invoices", "Finance/Budgets", "Media/Photos")
    for folder in folders:
        (source / folder).mkdir(parents=True)
        for number in range(60):
            name = f"{folder.rpartition('/')[2]} {number:03}.{random.choice(KINDS)}"
            (source / folder / name).write_bytes(random.randbytes(random.randint(4_000, 400_000)))
    for number in range(3):
        blocked = Path("Finance/Invoices") / f"scan {number}.pdf"
        (source / blocked).write_bytes(b"scan")
        (archive / blocked).mkdir(parents=True)
    nas.mkdir()
    big = place / "media-library"
    for number in range(240):
        day = big / f"2025-{number // 20 + 1:02}" / f"day {number // 4 + 1:02}"
        day.mkdir(parents=True, exist_ok=True)
        (day / f"take {number:03}.mov").write_bytes(random.randbytes(600_000))
    ends = {name: server.connect(name, str(place / name)) for name in ("team-drive", "archive", "media-library", "nas")}

    def job(name: str, source: str, to: str, **transfer: object) -> str:
        block = {
            "transfer_type": "copy",
            "source": {"connection": {"id": ends[source]}, "target": {"path": "/"}},
            "destination": {"connection": {"id": ends[to]}, "target": {"path": f"/{name}" if to == "nas" else "/"}},
            **transfer,
        }
        body = {"name": name, "kind": "transfer", "transfer": block, "category": {"name": "Wave 1"}}
        return str(server.call("POST", "/v1/jobs", body)["job"]["id"])

    done = job("Team drive to the archive", "team-drive", "archive")
    server.begin(done)
    server.wait(done)
    slow = {"performance": {"upload": {"bytes_per_second": 3_000_000}}}
    running = job("Media library to the NAS", "media-library", "nas", **slow)
    server.begin(running)
    nightly = job("Nightly copy of finance", "team-drive", "nas")
    when = {"schedule": {"mode": "auto", "run_at": {"hr": 2, "min": 30}}, "status": "paused"}
    server.call("PATCH", f"/v1/jobs/{nightly}", when)
    time.sleep(14)  # so that the chart has something to show
    return done, running


def pictures(page: Page, done: str, running: str, *, dark: bool) -> None:
    """Take the pictures of one theme."""
    wanted = (
        {"job-dark": f"/console/jobs/{running}/overview"}
        if dark
        else {
            "dashboard": "/console/",
            "failed": f"/console/jobs/{done}/failed",
            "wizard": f"/console/jobs/new?from={done}#locations",
        }
    )
    for name, path in wanted.items():
        page.goto(path)
        page.wait_for_selector("html[data-ready]")
        page.wait_for_timeout(2_500)
        page.screenshot(path=os.fspath(FOLDER / f"console-{name}.png"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
