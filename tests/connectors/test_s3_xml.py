"""What S3 answers in documents is read without the SDK; an answer that began well and ended in no is a no."""

from __future__ import annotations

from typing import Any

import pytest

from tallyport.connectors import s3_xml
from tallyport.connectors.s3_door import Door, Keys
from tallyport.connectors.s3_errors import Refused
from tallyport.connectors.s3_lean import Lean, NotLean, _Line

HEAD = '<?xml version="1.0" encoding="UTF-8"?>'
SPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
NO = f"{HEAD}<Error><Code>InternalError</Code></Error>".encode()


def test_documents_are_read_with_and_without_their_name_space() -> None:
    assert s3_xml.versioning(f"{HEAD}<VersioningConfiguration {SPACE}/>".encode()) == {}
    told = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    assert s3_xml.versioning(told) == {"Status": "Enabled"}
    rule = "<Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule>"
    ownership = s3_xml.ownership(f"{HEAD}<OwnershipControls {SPACE}>{rule}</OwnershipControls>".encode())
    assert ownership == {"OwnershipControls": {"Rules": [{"ObjectOwnership": "ObjectWriter"}]}}
    begun = f"<InitiateMultipartUploadResult {SPACE}><UploadId>a&amp;b</UploadId></InitiateMultipartUploadResult>"
    assert s3_xml.begun(begun.encode()) == {"UploadId": "a&b"}
    copied = b"<CopyObjectResult><ETag>&quot;tag&quot;</ETag></CopyObjectResult>"
    assert s3_xml.copied(copied) == {"CopyObjectResult": {"ETag": '"tag"'}}


def test_spaces_that_kept_the_connection_awake_are_left_out() -> None:
    done = f"  \n  {HEAD}<CompleteMultipartUploadResult {SPACE}><ETag>t</ETag></CompleteMultipartUploadResult>"
    assert s3_xml.completed(done.encode()) == {"ETag": "t"}


def test_parts_are_named_in_order() -> None:
    body = s3_xml.parts([{"PartNumber": 1, "ETag": '"a"'}, {"PartNumber": 2, "ETag": '"<&>"'}]).decode()
    assert body.startswith("<CompleteMultipartUpload xmlns=")
    assert '<Part><PartNumber>2</PartNumber><ETag>"&lt;&amp;&gt;"</ETag></Part></Complete' in body


@pytest.mark.parametrize("content", [b"", b"no", NO, b"<!DOCTYPE x><CopyObjectResult/>", b"<CopyObjectResult>"])
def test_what_is_another_document_is_none(content: bytes) -> None:
    assert s3_xml.copied(content) is None
    assert s3_xml.begun(content) is None


class Answering(Lean):
    """The lean way to a server that gives one answer."""

    def __init__(self, content: bytes) -> None:
        super().__init__(Door("http://127.0.0.1:9", "/b/", "us-east-1", lambda: Keys("a", "s")), 60.0)
        self.content = content

    def answer(self, operation: str) -> dict[str, Any]:
        line = _Line.__new__(_Line, None, _Stream(self.content))
        return self._answered(operation, "POST", line, 200, {"content-length": str(len(self.content))})


class _Stream:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def read(self, most: int) -> bytes:
        return self._content[:most]


@pytest.mark.parametrize(
    ("content", "code"),
    [(NO, "InternalError"), (b"<Error><Code>SlowDown</Code></Error>", "SlowDown"), (b"?", "InternalError")],
)
@pytest.mark.parametrize("operation", ["complete_multipart_upload", "copy_object", "create_multipart_upload"])
def test_an_answer_that_began_well_and_ended_in_no_is_a_no(operation: str, content: bytes, code: str) -> None:
    with pytest.raises(Refused) as caught:
        Answering(content).answer(operation)
    assert (caught.value.code, caught.value.status) == (code, 500)


def test_a_look_that_is_no_document_is_the_sdk_s_to_make() -> None:
    with pytest.raises(NotLean):
        Answering(b"?").answer("list_objects_v2")
