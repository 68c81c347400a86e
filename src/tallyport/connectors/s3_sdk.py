"""The SDK of S3: one client for everybody who opens a bucket as the same user, and the guard on where it connects."""

import threading
from dataclasses import replace
from typing import Any
from weakref import WeakValueDictionary

import boto3
from botocore import exceptions as sdk
from botocore.awsrequest import AWSHTTPConnectionPool, AWSHTTPSConnectionPool
from botocore.config import Config
from urllib3 import exceptions as http

from tallyport.connectors.guarded_http import Guarded
from tallyport.connectors.s3_door import check_own
from tallyport.connectors.s3_errors import refusal, translate
from tallyport.connectors.tls import BROKEN
from tallyport.domain.errors import ErrorKind

_K = ErrorKind

MEANINGS: tuple[tuple[type[BaseException], ErrorKind, str], ...] = (
    (sdk.NoCredentialsError, _K.UNAUTHENTICATED, "no credentials were found"),
    (sdk.PartialCredentialsError, _K.UNAUTHENTICATED, "the credentials are incomplete"),
    (sdk.CredentialRetrievalError, _K.UNAUTHENTICATED, "the credentials could not be fetched"),
    (sdk.SSLError, _K.UNAVAILABLE, BROKEN),
    (sdk.ConnectTimeoutError, _K.TIMEOUT, "the server does not answer"),
    (sdk.ReadTimeoutError, _K.TIMEOUT, "the server does not answer in time"),
    (sdk.HTTPClientError, _K.UNAVAILABLE, "the connection broke"),
    (sdk.ConnectionError, _K.UNAVAILABLE, "the connection broke"),
    (sdk.IncompleteReadError, _K.UNAVAILABLE, "the content ended before its end"),
    (sdk.ResponseStreamingError, _K.UNAVAILABLE, "the content ended before its end"),
    (sdk.FlexibleChecksumError, _K.CORRUPT, "the content was damaged on its way"),
    (sdk.ChecksumError, _K.CORRUPT, "the content was damaged on its way"),
    (sdk.ParamValidationError, _K.INVALID_NAME, "the platform takes no such key"),
    (http.TimeoutError, _K.TIMEOUT, "the server does not answer in time"),
    (http.HTTPError, _K.UNAVAILABLE, "the connection broke"),
    (OSError, _K.UNAVAILABLE, "the connection broke"),
)
"""What an error that comes out of the SDK, or of what it stands on, means."""

_clients: WeakValueDictionary[Any, Any] = WeakValueDictionary()
_making = threading.Lock()


def shared_client(settings: Any) -> Any:
    """Give the SDK's client that everybody in this process shares who opens a bucket as the same user.

    Each takes a tenth of a second of CPU and 13 MB, and every thread that carries opens the connection for itself.
    Credentials that the SDK finds may be others the next time; their clients are not shared.
    """
    if settings.profile or not (settings.access_key and settings.secret_key):
        return client_of(settings)
    who = replace(settings, bucket="", prefix="")
    with _making:
        client = _clients.get(who)
        if client is None:
            client = _clients[who] = client_of(settings)
        return client


def client_of(settings: Any) -> Any:
    """Make the SDK's client: our retries stand around it, so it makes each call once."""
    check_own(settings)
    with translate("open", settings.bucket):
        session = boto3.session.Session(
            aws_access_key_id=settings.access_key or None,
            aws_secret_access_key=settings.secret_key or None,
            aws_session_token=settings.session_token or None,
            region_name=settings.region or None,
            profile_name=settings.profile or None,
        )
        region = settings.region or session.region_name or "us-east-1"
        config = Config(
            retries={"total_max_attempts": 1, "mode": "standard"},
            max_pool_connections=64,
            connect_timeout=settings.timeout,
            read_timeout=settings.timeout,
            tcp_keepalive=True,
            # Servers that are like S3 answer a range with the checksum of the whole object.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": settings.addressing},
            user_agent_extra="tallyport",
        )
        if not settings.access_key and session.get_credentials() is None:
            why = "no credentials: give access_key and secret_key, or have them where the AWS SDK looks for them"
            raise refusal(ErrorKind.UNAUTHENTICATED, "open", f"s3://{settings.bucket}", why)
        client = session.client("s3", region_name=region, endpoint_url=settings.endpoint or None, config=config)
        _guard(client)
        return client


def _guarded(pool: Any) -> Any:
    """Give a kind of pool of the SDK whose connections go to checked addresses."""
    made = type(pool.ConnectionCls.__name__, (Guarded, pool.ConnectionCls), {})
    return type(pool.__name__, (pool,), {"ConnectionCls": made})


_POOLS = {"http": _guarded(AWSHTTPConnectionPool), "https": _guarded(AWSHTTPSConnectionPool)}


def _guard(client: Any) -> None:
    """Have the SDK connect to checked addresses only; no public setting of it reaches that far."""
    client._endpoint.http_session._pool_classes_by_scheme.update(_POOLS)
