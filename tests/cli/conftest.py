"""The fixtures of the command line's tests."""

from tests.cli.fakes import world as world
