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
        "Shared database of servers and workers: `postgresql://USER@HOST/NAME`, PostgreSQL 14 or newer. "
        "Commands for accounts and runs look there too.",
    ),
    Setting(
        "TALLYPORT_WORKER_PATIENCE",
        "none",
        "30",
        "Seconds without a beat after which a worker on a shared database is given up and its work taken over. "
        "The same for all workers.",
    ),
    Setting(
        "TALLYPORT_WORKER_LABELS",
        "--label",
        "none",
        "Labels of connections that this machine reaches, with spaces between, at most four: a worker on a shared "
        "database is given only jobs whose two connections it reaches.",
    ),
    Setting("TALLYPORT_URL", "--url", "`http://127.0.0.1:9090`", "Server that `jobs` and `connections` talk to."),
    Setting(
        "TALLYPORT_TOKEN",
        "none",
        "none",
        "Token for the server. There is no option for it: options are seen by everybody on the machine.",
    ),
    Setting("TALLYPORT_TOKEN_FILE", "--token-file", "none", "File that holds the token, in place of TALLYPORT_TOKEN."),
    Setting(
        "TALLYPORT_ALLOW_PRIVATE_NETWORKS",
        "none",
        "`0`",
        "`1`: connections and webhooks may lead into private networks and to this machine, webhooks over plain HTTP "
        "too. Addresses where clouds hand out credentials are never reached. Commands that run without a server may.",
    ),
    Setting(
        "TALLYPORT_ALLOW_OWN_CREDENTIALS",
        "none",
        "`0`",
        "`1`: connections may sign in with what the server's own account has: AWS keys, profiles and roles where S3 "
        "names no keys, and its SSH agent. Whoever may make connections can then use them. Commands that run without a "
        "server may.",
    ),
    Setting(
        "TALLYPORT_LOG",
        "none",
        "`warning`",
        "From which level on a server logs: `debug`, `info` (a line for each request), `warning` or `error`.",
    ),
    Setting(
        "TALLYPORT_PROXIES",
        "none",
        "none",
        "Addresses of proxies, with commas between, whose word on where a request came from is taken.",
    ),
    Setting("TALLYPORT_EVENTS_KEPT", "none", "`30`", "Days that events are kept."),
    Setting(
        "TALLYPORT_STRICT_TOPICS",
        "none",
        "`0`",
        "`1`: events only of the topics that the Flatfile API has: not canceled, paused, resumed and retried.",
    ),
    Setting(
        "TALLYPORT_SECRET_KEY",
        "none",
        "the file below, else the systemd credential `tallyport-secret-key`, else `secret.key` in the data folder",
        "Key that seals the secrets of connections; several with commas between, the newest first. "
        "`tallyport secrets key` makes one.",
    ),
    Setting("TALLYPORT_SECRET_KEY_FILE", "none", "none", "File that holds the key, in place of TALLYPORT_SECRET_KEY."),
    Setting(
        "TALLYPORT_CONNECTION_",
        "none",
        "none",
        "Beginning of the names of variables that a secret given as `env:NAME` may name on a server.",
    ),
    Setting(
        "TALLYPORT_SECRET_VARIABLES",
        "none",
        "none",
        "More variables that `env:NAME` may name, with commas between; `*` stands for anything.",
    ),
    Setting(
        "TALLYPORT_SECRET_FOLDERS",
        "none",
        "none",
        "More folders that a secret given as `file:/path` may lie in, with colons between, beside `/run/secrets` and "
        "the folder of systemd's credentials.",
    ),
)
