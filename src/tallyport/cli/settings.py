"""Every setting from the environment, in words: printed in the reference page; a test finds the ones without."""

from typing import NamedTuple


class Setting(NamedTuple):
    """One environment variable."""

    name: str
    option: str  # the option that wins over it
    default: str
    words: str


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "TALLYPORT_DATA",
        "--data",
        "the user's data folder (on Linux `~/.local/share/tallyport`)",
        "Folder that holds the ledger and everything else one installation remembers. On a local disk.",
    ),
    Setting(
        "TALLYPORT_DATABASE",
        "--database",
        "`ledger.db` in the data folder",
        "Another database for `serve` and `worker`. PostgreSQL is not in this release.",
    ),
    Setting("TALLYPORT_URL", "--url", "`http://127.0.0.1:9090`", "Server that `jobs` and `connections` talk to."),
    Setting(
        "TALLYPORT_TOKEN",
        "none",
        "none",
        "Token for the server. There is no option for it: options are seen by everybody on the machine.",
    ),
    Setting("TALLYPORT_TOKEN_FILE", "--token-file", "none", "File that holds the token, in place of TALLYPORT_TOKEN."),
)
