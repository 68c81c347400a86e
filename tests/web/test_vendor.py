"""What the console carries of others is what its list says."""

from __future__ import annotations

import re

from tallyport.web.page import HERE
from tools import vendor


def test_every_vendored_file_is_the_one_of_the_list() -> None:
    assert vendor.stale() == []


def test_every_part_names_version_and_licence() -> None:
    assert all(one.version and one.licence and len(one.sha256) == 64 for one in vendor.files())


def test_no_page_or_script_of_ours_names_another_host() -> None:
    ours = [
        *(HERE / "templates").rglob("*.html"),
        *(HERE / "static").glob("*.css"),
        *(HERE / "static" / "js").glob("*.js"),
    ]
    assert len(ours) > 15
    for path in ours:
        assert not re.search(r"(https?:)?//(?!www\.w3\.org)[a-z0-9-]+\.[a-z]", path.read_text("utf-8")), path


def test_no_page_holds_a_script_or_a_handler() -> None:
    for path in (HERE / "templates").rglob("*.html"):
        text = path.read_text("utf-8")
        assert not re.search(r"<script(?![^>]*\bsrc=)|\son[a-z]+=|javascript:", text), path
        assert "|safe" not in text.replace(" ", ""), path


def test_every_icon_that_is_drawn_is_in_the_sprite() -> None:
    sprite = (HERE / "static" / "vendor" / "icons" / "sprite.svg").read_text("utf-8")
    there = set(re.findall(r'<symbol id="([^"]+)"', sprite))
    texts = [path.read_text("utf-8") for path in (HERE / "templates").rglob("*.html")]
    used = {name for text in texts for name in re.findall(r'icon\("([a-z0-9-]+)"', text)}
    used |= {name for text in texts for name in re.findall(r'parts\.empty\("([a-z0-9-]+)"', text)}
    assert used
    assert used <= there
