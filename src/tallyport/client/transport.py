"""One request: sent, tried again where that is safe, and read or turned into an error."""

import random
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import httpx2

from tallyport.client.errors import ClientError, Conflict, NotReached, from_answer

TRIES = 4
FIRST_WAIT, LONGEST_WAIT = 0.2, 20.0  # seconds
_AGAIN = frozenset({429, 502, 503, 504})


class Transport:
    """Speaks JSON with one server.

    A GET is tried again when no answer came or the server asks for it. A POST that makes something carries an
    ``Idempotency-Key``, so that it can be tried again too: the server makes it once. Nothing else is.
    """

    def __init__(
        self,
        url: str,
        token: str | None,
        *,
        timeout: float,
        transport: httpx2.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        headers = {"Accept": "application/json", "User-Agent": "tallyport-client"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        # No redirects: a token must not travel to a place the caller did not name.
        self._http = httpx2.Client(
            base_url=url.rstrip("/") + "/",
            headers=headers,
            timeout=timeout,
            transport=transport,
            follow_redirects=False,
        )
        self._sleep = sleep

    def close(self) -> None:
        self._http.close()

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        return self._send("GET", path, params=params, again=True)

    def post(self, path: str, body: Any = None, params: Mapping[str, Any] | None = None) -> Any:
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        return self._send("POST", path, params=params, body=body, headers=headers, again=True)

    def post_raw(self, path: str, content: bytes, kind: str) -> Any:
        headers = {"Idempotency-Key": uuid.uuid4().hex, "Content-Type": kind}
        return self._send("POST", path, content=content, headers=headers, again=True)

    def patch(
        self, path: str, body: Any = None, params: Mapping[str, Any] | None = None, *, version: int | None = None
    ) -> Any:
        headers = {} if version is None else {"If-Match": f'"{version}"'}
        return self._send("PATCH", path, params=params, body=body, headers=headers, again=False)

    def delete(self, path: str) -> Any:
        return self._send("DELETE", path, again=False)

    def _send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        again: bool,
    ) -> Any:
        query = {name: _text(value) for name, value in (params or {}).items() if value is not None}
        tries = TRIES if again else 1
        for left in reversed(range(tries)):
            wait: float | None = None
            try:
                answer = self._http.request(
                    method,
                    path.lstrip("/"),
                    params=query or None,
                    json=body,
                    content=content,
                    headers=dict(headers or {}),
                )
            except httpx2.TransportError as error:
                if not left:
                    raise NotReached(
                        f"{self._http.base_url} does not answer: {str(error) or type(error).__name__}"
                    ) from error
            else:
                if answer.is_success:
                    return _document(answer)
                found = _error(answer)
                wait = _retry_after(answer)
                # The first request with the same key is still at work.
                under_way = isinstance(found, Conflict) and wait is not None
                if not left or not (answer.status_code in _AGAIN or under_way):
                    raise found
            if wait is None:
                wait = FIRST_WAIT * 2 ** (tries - 1 - left) * random.uniform(0.5, 1.0)
            self._sleep(min(wait, LONGEST_WAIT))
        raise AssertionError("unreachable")


def _text(value: Any) -> Any:
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, list | tuple | set | frozenset):
        return ",".join(str(member) for member in value)
    return value


def _document(answer: httpx2.Response) -> Any:
    if not answer.content:
        return None
    if "json" not in answer.headers.get("content-type", ""):
        return answer.text
    try:
        return answer.json()
    except ValueError as error:
        raise ClientError("the server's answer is not the JSON it says it is", status=answer.status_code) from error


def _error(answer: httpx2.Response) -> ClientError:
    try:
        document = answer.json()
    except ValueError:
        document = None
    if answer.is_redirect:
        return ClientError(
            f"the server answers from {answer.headers.get('location', 'elsewhere')}: give that address",
            status=answer.status_code,
        )
    return from_answer(answer.status_code, document, request_id=answer.headers.get("x-request-id"))


def _retry_after(answer: httpx2.Response) -> float | None:
    value = answer.headers.get("retry-after", "")
    return float(value) if value.isdecimal() else None
