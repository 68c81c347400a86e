"""The fixtures of the command line's tests."""

from tests.cli.fakes import world as world
from tests.cli.line import line as line
from tests.client.conftest import served as served
