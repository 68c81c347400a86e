"""What went wrong with TLS: a setting that a person corrects, or a bad line, which is tried again.

A library wraps the error of the system's TLS, each in its own way.
"""

import ssl
from collections.abc import Iterator

BROKEN = "the encrypted connection broke: what came was damaged, or ended too soon"
_MISFITS = (  # what a server says that speaks no TLS, or none that is safe
    *("WRONG_VERSION_NUMBER", "UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION"),
    *("SSLV3_ALERT_HANDSHAKE_FAILURE", "NO_PROTOCOLS_AVAILABLE"),
)


def is_distrust(error: BaseException) -> bool:
    """Tell whether the other side is not who it should be, or speaks no such TLS."""
    return any(
        isinstance(one, ssl.SSLCertVerificationError)
        or type(one).__name__ == "CertificateError"  # urllib3's own, of a name that does not match
        or (isinstance(one, ssl.SSLError) and one.reason in _MISFITS)
        for one in _inside(error)
    )


def _inside(error: BaseException) -> Iterator[BaseException]:
    """Give an error and all that it wraps."""
    waiting, seen = [error], set[int]()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        inner = (one.__cause__, one.__context__, getattr(one, "reason", None), *one.args)
        inner += (getattr(one, "kwargs", {}).get("error"),)
        waiting += [other for other in inner if isinstance(other, BaseException)]
