"""What goes wrong in S3, as our errors. `Codes <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>`_."""

import ssl
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from time import time
from types import TracebackType
from typing import Any

from tallyport.connectors.tls import BROKEN, is_distrust
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.paths import display

_K = ErrorKind

_CODES: dict[str, tuple[ErrorKind, str]] = {
    **dict.fromkeys(("NoSuchKey", "NotFound", "NoSuchVersion"), (_K.NOT_FOUND, "there is no such object")),
    "NoSuchBucket": (_K.NOT_FOUND, "there is no such bucket"),
    "NoSuchUpload": (_K.NOT_FOUND, "the upload is gone: a rule of the bucket or somebody else ended it"),
    "PreconditionFailed": (_K.ALREADY_EXISTS, "something else stands there now"),
    "ConditionalRequestConflict": (_K.ALREADY_EXISTS, "somebody else writes the same object"),
    "AccessDenied": (_K.PERMISSION_DENIED, "the account may not do that: look at its policy and that of the bucket"),
    "Forbidden": (_K.PERMISSION_DENIED, "the account may not do that: look at its policy and that of the bucket"),
    "AllAccessDisabled": (_K.PERMISSION_DENIED, "all access to it is disabled"),
    **dict.fromkeys(
        ("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken", "TokenRefreshRequired"),
        (_K.UNAUTHENTICATED, "the credentials are refused: give valid ones"),
    ),
    **dict.fromkeys(
        ("Unauthorized", "AuthorizationHeaderMalformed", "NotSignedUp", "ExpiredTokenException"),
        (_K.UNAUTHENTICATED, "the credentials are refused: give valid ones, and the region of the bucket"),
    ),
    "RequestTimeTooSkewed": (_K.UNAUTHENTICATED, "the clock of this machine is wrong by more than 15 minutes"),
    **dict.fromkeys(
        ("SlowDown", "TooManyRequests", "RequestLimitExceeded", "Throttling", "ThrottlingException", "BandwidthLimit"),
        (_K.RATE_LIMITED, "the platform asks for a slower pace"),
    ),
    **dict.fromkeys(
        ("InternalError", "ServiceUnavailable", "OperationAborted", "InternalServerError", "BadGateway"),
        (_K.UNAVAILABLE, "the platform has an error of its own"),
    ),
    "RequestTimeout": (_K.TIMEOUT, "the platform waited too long for content"),
    "EntityTooLarge": (_K.TOO_LARGE, "it is larger than the platform takes"),
    "KeyTooLongError": (_K.INVALID_NAME, "the key is longer than the platform takes"),
    **dict.fromkeys(("InvalidURI", "InvalidObjectName"), (_K.INVALID_NAME, "the platform takes no such key")),
    **dict.fromkeys(
        ("BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch", "ChecksumMismatch"),
        (_K.CORRUPT, "the content was damaged on its way"),
    ),
    **dict.fromkeys(
        ("QuotaExceeded", "InsufficientStorage", "XMinioStorageFull", "InsufficientCapacity"),
        (_K.NO_SPACE, "there is no space left"),
    ),
    **dict.fromkeys(("NotImplemented", "MethodNotAllowed"), (_K.UNSUPPORTED, "the platform cannot do that")),
    "AccessControlListNotSupported": (_K.UNSUPPORTED, "the bucket has access lists switched off"),
    "InvalidObjectState": (_K.UNSUPPORTED, "it is archived: restore it first"),
    **dict.fromkeys(("InvalidPart", "InvalidPartOrder"), (_K.CORRUPT, "a part is not what was sent, or is missing")),
    "MetadataTooLarge": (_K.UNSUPPORTED, "its named values are more than the 2 KB that the platform keeps"),
}

_STATUS: dict[int, tuple[ErrorKind, str]] = {
    401: (_K.UNAUTHENTICATED, "the credentials are refused: give valid ones"),
    403: _CODES["AccessDenied"],
    404: _CODES["NoSuchKey"],
    405: _CODES["MethodNotAllowed"],
    408: _CODES["RequestTimeout"],
    409: _CODES["ConditionalRequestConflict"],
    412: _CODES["PreconditionFailed"],
    413: _CODES["EntityTooLarge"],
    429: _CODES["SlowDown"],
    501: _CODES["NotImplemented"],
    503: _CODES["ServiceUnavailable"],
    507: _CODES["InsufficientStorage"],
}

_TRANSPORT: tuple[tuple[type[BaseException], ErrorKind, str], ...] = (
    (ssl.SSLError, _K.UNAVAILABLE, BROKEN),
    (TimeoutError, _K.TIMEOUT, "the server does not answer in time"),
    (OSError, _K.UNAVAILABLE, "the connection broke"),
)
_LIBRARIES = ("botocore", "boto3", "urllib3")


class Refused(Exception):
    """An answer that says no, before anybody has said what that means."""

    def __init__(self, code: str, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(f"{status} {code}")
        self.code = code  # the platform's word for what went wrong
        self.status = status
        self.headers = headers

    @classmethod
    def told(cls, response: Mapping[str, Any]) -> "Refused":
        """Read an answer as the SDK gives it."""
        facts = response.get("ResponseMetadata", {})
        code = str(response.get("Error", {}).get("Code", ""))
        return cls(code, int(facts.get("HTTPStatusCode", 0)), facts.get("HTTPHeaders", {}))


class translate:  # lower case: it reads as a verb, with translate("list", path)
    """Raise the platform's errors as ours; ``instead`` gives another kind for a kind."""

    __slots__ = ("_instead", "_operation", "_path")

    def __init__(self, operation: str, path: str, instead: Mapping[ErrorKind, ErrorKind] | None = None) -> None:
        self._operation = operation
        self._path = path
        self._instead = instead

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or isinstance(error, TallyportError) or not isinstance(error, Exception):
            return
        if isinstance(error, Refused):
            raise _from_answer(error, self._operation, self._path, self._instead) from error
        inner = getattr(error, "kwargs", {}).get("error")
        if isinstance(inner, TallyportError):  # of our own guard, inside the SDK
            raise inner from error
        raise _of_transport(error, self._operation, self._path) from error


def _of_transport(error: Exception, operation: str, path: str) -> TallyportError:
    meanings = _TRANSPORT
    is_of_sdk = type(error).__module__.partition(".")[0] in _LIBRARIES
    if is_of_sdk:
        from tallyport.connectors import s3_sdk  # it is loaded, or nobody could have raised that

        meanings = s3_sdk.MEANINGS
    if (is_of_sdk or isinstance(error, OSError)) and is_distrust(error):
        why = "the certificate of the server is not to be trusted, or it speaks no TLS"
        return refusal(_K.CONFIG, operation, path, f"{why}: {error}")
    for type_, kind, why in meanings:
        if isinstance(error, type_):
            return refusal(kind, operation, path, why)
    why = f"an error nobody foresaw, {type(error).__name__}: {error}"
    return refusal(_K.UNEXPECTED, operation, path, why)


def refusal(
    kind: ErrorKind, operation: str, path: str, why: str, *, retry_after: float | None = None
) -> TallyportError:
    """Make an error of ours: what could not be done, where, and why."""
    message = f"cannot {operation} {display(path) or '/'!r}: {why}"
    return TallyportError(kind, message, path=path, operation=operation, retry_after=retry_after)


def _from_answer(
    error: Refused, operation: str, path: str, instead: Mapping[ErrorKind, ErrorKind] | None
) -> TallyportError:
    kind, why = _CODES.get(error.code) or _STATUS.get(error.status) or _by_class(error.code, error.status)
    kind = (instead or {}).get(kind, kind)
    return refusal(kind, operation, path, why, retry_after=seconds(error.headers.get("retry-after")))


def _by_class(code: str, status: int) -> tuple[ErrorKind, str]:
    said = f"the platform says {code or status}"
    if 300 <= status < 400:
        return _K.CONFIG, f"{said} and sends us elsewhere, which would get the credentials: give the address it names"
    return (_K.UNAVAILABLE, said) if status >= 500 else (_K.UNEXPECTED, said)


def seconds(header: str | None) -> float | None:
    """Read Retry-After: seconds, or a date."""
    if not header:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time())
    except (ValueError, TypeError):
        return None
