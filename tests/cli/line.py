"""A command line that speaks to a server, and the server it speaks to."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tallyport.cli.main import tallyport
from tests.client.server import Served, finish


class Line:
    """A command line that speaks to the server; each call begins with the same words."""

    def __init__(self, served: Served, *begins: str) -> None:
        self.begins = begins
        self.environment = {"TALLYPORT_URL": served.url, "TALLYPORT_TOKEN": served.token}

    def call(self, *words: str, input: str | None = None, **environment: str) -> Result:
        found = {**self.environment, **environment}
        return CliRunner().invoke(tallyport, [*self.begins, *words], input=input, env=found)

    def ends(self, *words: str, code: int = 0, input: str | None = None, **environment: str) -> Result:
        """Call it, and see that it ends with a code."""
        result = self.call(*words, input=input, **environment)
        assert result.exit_code == code, result.output
        return result

    def good(self, *words: str, input: str | None = None) -> str:
        """Give what a call that ends well prints."""
        return self.ends(*words, input=input).stdout.strip()

    def json(self, *words: str) -> Any:
        return json.loads(self.good(*words, "--json"))


@pytest.fixture
def line(served: Served) -> Line:
    served.play = finish
    return Line(served)
