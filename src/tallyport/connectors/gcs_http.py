"""Signed calls on one bucket of Google Cloud Storage, by its JSON API.

A call carries a token: one that was given, one that a service account's key is exchanged for (google-auth signs), or
what Google's own tools would use. https://cloud.google.com/storage/docs/json_api
"""

import json
import os
import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple
from urllib.parse import quote, urlsplit

import urllib3

from tallyport.connectors import guarded_http, reach
from tallyport.connectors.object_http import LOOPBACK, Answer, Host, Meaning, check_plain, translated, wrong_address
from tallyport.connectors.pausing import Pause
from tallyport.domain.errors import ErrorKind, TallyportError

GOOGLE = "https://storage.googleapis.com"
SCOPE = "https://www.googleapis.com/auth/devstorage.full_control"
EMULATOR = "STORAGE_EMULATOR_HOST"  # as Google's own libraries name it
_K = ErrorKind
_SLOWER: Meaning = (_K.RATE_LIMITED, "the platform asks for a slower pace")
_REFUSED: Meaning = (_K.UNAUTHENTICATED, "the credentials are refused: give valid ones")
CODES: Mapping[str, Meaning] = {
    **dict.fromkeys(("authError", "required", "expired", "accountDisabled", "billingNotEnabled"), _REFUSED),
    **dict.fromkeys(
        ("rateLimitExceeded", "userRateLimitExceeded", "dailyLimitExceeded", "quotaExceeded", "slowDown"), _SLOWER
    ),
    **dict.fromkeys(
        ("backendError", "internalError", "backendNotConnected", "transientError"),
        (_K.UNAVAILABLE, "the platform has an error of its own"),
    ),
    "conditionNotMet": (_K.ALREADY_EXISTS, "something else stands there now"),
    **dict.fromkeys(
        ("retentionPolicyNotMet", "objectUnderActiveHold"),
        (_K.PERMISSION_DENIED, "a retention policy or a hold keeps it as it is"),
    ),
    **dict.fromkeys(
        ("userProjectMissing", "userProjectAccessDenied"),
        (_K.CONFIG, "who asks has to pay: set user_project to a project of yours"),
    ),
    "uploadTooLarge": (_K.TOO_LARGE, "it is larger than the platform takes"),
    "uploadBrokenConnection": (_K.UNAVAILABLE, "the connection broke"),
}


def _wrong_bucket(value: str) -> str | None:
    return None if value and "/" not in value else "must be the name of a bucket, without a slash"


def _wrong_credentials(value: str) -> str | None:
    if not value:
        return None
    try:
        told = json.loads(value)
    except ValueError:
        return "must be the JSON file of a service account, as its text"
    if not isinstance(told, dict) or told.get("type") != "service_account":
        return "must be the key of a service account (its type is service_account)"
    address = str(told.get("token_uri", ""))
    is_plain = urlsplit(address).scheme == "http" and urlsplit(address).hostname not in LOOPBACK
    return "names a token_uri that is no https:// address" if wrong_address(address) or is_plain else None


def _wrong_token(value: str) -> str | None:
    return None if value.isascii() and value.isprintable() and " " not in value else "cannot be a token"


def _not_positive(value: float) -> str | None:
    return None if value > 0 else "must be more than 0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A bucket and who opens it."""

    bucket: str = field(metadata={"help": "name of the bucket", "check": _wrong_bucket})
    prefix: str = field(default="", metadata={"help": "what every name begins with, as folders; empty: all of it"})
    credentials: str = field(
        default="",
        metadata={
            "help": "key file of a service account, its JSON as text; empty: where Google's tools look",
            "secret": True,
            "lines": True,
            "check": _wrong_credentials,
        },
    )
    token: str = field(
        default="",
        metadata={"help": "an access token that you fetched yourself", "secret": True, "check": _wrong_token},
    )
    sign_in: Literal["yes", "no"] = field(
        default="yes", metadata={"help": "no: ask as anybody, for public buckets and emulators"}
    )
    endpoint: str = field(
        default="", metadata={"help": "address of a server like it; empty: Google's", "check": wrong_address}
    )
    user_project: str = field(default="", metadata={"help": "project that pays, for buckets that ask for it"})
    storage_class: str = field(default="", metadata={"help": "of new objects, as NEARLINE; empty: the bucket's"})
    timeout: float = field(default=60.0, metadata={"help": "seconds to wait for the server", "check": _not_positive})


class Bucket:
    """One bucket. Names are whole; errors are ``Refused`` until they are translated."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        endpoint = settings.endpoint
        self._tokens: _Tokens | None = None
        if not endpoint and not settings.credentials and not settings.token and os.environ.get(EMULATOR):
            what = f"without credentials, {EMULATOR} of the server is used"
            reach.check_own_credentials(what, "give endpoint and sign_in: no")
            endpoint = os.environ[EMULATOR]
            endpoint = endpoint if "://" in endpoint else f"http://{endpoint}"
        elif settings.sign_in == "yes":
            self._tokens = _tokens(settings)
        endpoint = (endpoint or GOOGLE).rstrip("/")
        if self._tokens is not None:
            check_plain(endpoint, "the token")
        self.host = Host(endpoint, settings.timeout, code_of=_code_of)
        self.origin = endpoint
        self._base = urlsplit(endpoint).path.rstrip("/")
        self._bucket = quote(settings.bucket, safe="")

    def close(self) -> None:
        self.host.close()

    def pause_with(self, pause: Pause) -> None:
        self.host.pause = pause

    def call(
        self,
        method: str,
        name: str | None = "",
        *,
        query: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        below: str = "",
        streams: bool = False,
    ) -> Answer:
        """Make one call on an object, on all of them (the empty name), or on the bucket itself (None)."""
        target = f"{self._base}/storage/v1/b/{self._bucket}"
        if name is not None:
            target += f"/o/{quote(name, safe='')}{below}" if name else "/o"
        return self._sent(method, target, query or {}, headers or {}, body, streams)

    def upload(
        self, query: Mapping[str, str | int], headers: Mapping[str, str], body: bytes, method: str = "POST"
    ) -> Answer:
        """Make one call that brings content."""
        return self._sent(method, f"{self._base}/upload/storage/v1/b/{self._bucket}/o", query, headers, body, False)

    def session(self, method: str, address: str, headers: Mapping[str, str], body: bytes | None = None) -> Answer:
        """Make one call on a session that the platform opened: on our own host, whatever it says its address is."""
        parts = urlsplit(address)
        return self._sent(method, f"{parts.path}?{parts.query}", {}, headers, body, False)

    def rewrite_path(self, name: str) -> str:
        """Give what follows the name of a source in the address of a copy."""
        return f"/rewriteTo/b/{self._bucket}/o/{quote(name, safe='')}"

    def translated(
        self, operation: str, path: str, instead: Mapping[ErrorKind, ErrorKind] | None = None
    ) -> AbstractContextManager[None]:
        return translated(operation, path, CODES, instead)

    def _sent(
        self,
        method: str,
        target: str,
        query: Mapping[str, str | int],
        headers: Mapping[str, str],
        body: bytes | None,
        streams: bool,
    ) -> Answer:
        asked = dict(query)
        if self.settings.user_project:
            asked["userProject"] = self.settings.user_project
        if asked:
            target += ("&" if "?" in target else "?") + "&".join(
                f"{word}={quote(str(value), safe='')}" for word, value in asked.items()
            )
        sent = {"User-Agent": "Tallyport", **headers}
        if self._tokens is not None:
            sent["Authorization"] = f"Bearer {self._tokens.token()}"
        return self.host.call(method, target, sent, body, streams=streams)


class _Tokens:
    """Gives a token that is good now; fetches another before it ends."""

    def __init__(self, credentials: Any, request: Any) -> None:
        self._credentials = credentials
        self._request = request
        self._lock = threading.Lock()

    def token(self) -> str:
        from google.auth import exceptions

        with self._lock:
            if not self._credentials.valid:
                try:
                    self._credentials.refresh(self._request)
                except exceptions.TransportError as error:
                    message = f"no token could be fetched: {error}"
                    raise TallyportError(ErrorKind.UNAVAILABLE, message, operation="open") from error
                except exceptions.GoogleAuthError as error:
                    message = f"the credentials are refused, no token was given: {error}"
                    raise TallyportError(ErrorKind.UNAUTHENTICATED, message, operation="open") from error
                except (LookupError, TypeError, ValueError, AttributeError) as error:  # the library believes any answer
                    message = "no token was given: what the token_uri of the credentials answered holds none"
                    raise TallyportError(ErrorKind.UNAUTHENTICATED, message, operation="open") from error
            return str(self._credentials.token)


class _Given(NamedTuple):
    """A token that somebody fetched."""

    value: str
    valid: bool = True

    @property
    def token(self) -> str:
        return self.value


def _tokens(settings: Settings) -> _Tokens:
    if settings.token:
        return _Tokens(_Given(settings.token), None)
    import google.auth
    from google.auth.exceptions import GoogleAuthError
    from google.auth.transport import urllib3 as transport
    from google.oauth2 import service_account

    if settings.credentials:
        pool = urllib3.PoolManager(retries=False, timeout=settings.timeout)
        pool.pool_classes_by_scheme = guarded_http.pool_classes()
        try:
            made = service_account.Credentials.from_service_account_info(  # type: ignore[no-untyped-call]
                json.loads(settings.credentials), scopes=[SCOPE]
            )
        except (ValueError, GoogleAuthError) as error:
            message = (
                "the setting credentials holds no key that can sign: give the service account's JSON file as it is"
            )
            raise TallyportError(ErrorKind.CONFIG, message, operation="open") from error
        return _Tokens(made, _request(transport, pool))
    what = "without credentials or token, the Google credentials of the server's account are used"
    reach.check_own_credentials(what, "give one of them, or sign_in: no")
    if settings.endpoint:
        message = "no credentials for this endpoint: give credentials or token, or sign_in: no"
        raise TallyportError(ErrorKind.UNAUTHENTICATED, message, operation="open")
    try:
        found, _ = google.auth.default(scopes=[SCOPE])
    except GoogleAuthError as error:
        message = "no credentials: give credentials or token, or have them where Google's tools look for them"
        raise TallyportError(ErrorKind.UNAUTHENTICATED, message, operation="open") from error
    return _Tokens(found, _request(transport, urllib3.PoolManager(retries=False)))


def _request(transport: Any, pool: urllib3.PoolManager) -> Any:
    return transport.Request(pool)


def document(answer: Answer) -> dict[str, Any]:
    """Read the JSON of an answer."""
    try:
        told = json.loads(answer.content)
    except ValueError:
        told = None
    return told if isinstance(told, dict) else {}


def _code_of(answer: Answer) -> str:
    error = document(answer).get("error")
    told = error.get("errors") if isinstance(error, dict) else None
    first = told[0] if isinstance(told, list) and told else None
    return str(first.get("reason", "")) if isinstance(first, dict) else ""
