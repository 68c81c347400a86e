"""What is wrong with a value of a setting that several platforms have, or None."""


def wrong_port(port: int) -> str | None:
    """Say what is wrong with the port of a server."""
    return None if 0 < port < 65536 else "must be between 1 and 65535"


def not_positive(value: float) -> str | None:
    """Say what is wrong with a time to wait."""
    return None if value > 0 else "must be more than 0"


def wrong_text(value: str) -> str | None:
    """Say what is wrong with text that becomes part of a line to a server."""
    return "cannot hold line breaks" if any(character in value for character in "\r\n\0") else None
