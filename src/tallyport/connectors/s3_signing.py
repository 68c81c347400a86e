"""Requests to S3, signed with Signature Version 4 over every header that is sent.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

import hashlib
import hmac
from base64 import b64decode
from collections.abc import Callable
from time import gmtime, strftime
from typing import Any

_EMPTY = hashlib.sha256(b"").hexdigest()
_UNSIGNED = "UNSIGNED-PAYLOAD"


class Signer:
    """Signs requests to one host. ``keys`` gives what to sign with; it may be another each time."""

    def __init__(self, host: str, region: str, keys: Callable[[], Any], *, is_tls: bool) -> None:
        self._host = host
        self._region = region
        self._keys = keys
        self._is_tls = is_tls
        self._signing: tuple[str, str, bytes] = ("", "", b"")  # day, secret, key

    def signed(self, method: str, path: str, query: str, headers: dict[str, str], body: bytes | memoryview) -> bytes:
        """Give the head of a request; the headers gain what is signed along."""
        credentials = self._keys()
        now = strftime("%Y%m%dT%H%M%SZ", gmtime())
        day = now[:8]
        if "x-amz-checksum-sha256" in headers:
            payload = b64decode(headers["x-amz-checksum-sha256"]).hex()
        elif not body:
            payload = _EMPTY
        elif self._is_tls or "content-md5" in headers:  # which is signed as every header is: one hash is enough
            payload = _UNSIGNED
        else:
            payload = hashlib.sha256(body).hexdigest()
        headers |= {"host": self._host, "x-amz-date": now, "x-amz-content-sha256": payload}
        if credentials.token:
            headers["x-amz-security-token"] = credentials.token
        names = sorted(headers)
        listed = ";".join(names)
        lines = "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in names)
        canonical = f"{method}\n{path}\n{query}\n{lines}\n{listed}\n{payload}"
        scope = f"{day}/{self._region}/s3/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        signature = hmac.digest(self._key(day, credentials.secret_key), text.encode(), "sha256").hex()
        who = f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}"
        sent = "".join(f"{name}: {headers[name]}\r\n" for name in names)
        place = f"{path}?{query}" if query else path
        return (
            f"{method} {place} HTTP/1.1\r\n{sent}"
            f"authorization: {who}, SignedHeaders={listed}, Signature={signature}\r\n"
            f"content-length: {len(body)}\r\nuser-agent: tallyport\r\n\r\n"
        ).encode("latin-1")

    def _key(self, day: str, secret: str) -> bytes:
        held = self._signing
        if held[0] == day and held[1] == secret:
            return held[2]
        key = f"AWS4{secret}".encode()
        for part in (day, self._region, "s3", "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        self._signing = (day, secret, key)
        return key
