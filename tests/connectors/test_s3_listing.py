"""A page of a listing is read as S3 says it, and left to the SDK where it is anything else."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tallyport.connectors.s3_listing import read, read_versions

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
FIRST = (
    "<Contents><Key>{key}</Key><LastModified>2026-11-27T12:00:01.500Z</LastModified>"
    "<ETag>&quot;tag&quot;</ETag><Size>7</Size><StorageClass>STANDARD</StorageClass></Contents>"
)


def page(*inside: str, head: str = HEAD) -> bytes:
    return (head + "".join(inside) + "</ListBucketResult>").encode()


def test_a_page_has_objects_prefixes_and_where_it_goes_on() -> None:
    found = read(
        page(
            "<Name>b</Name><Prefix>a%2F</Prefix><IsTruncated>true</IsTruncated><EncodingType>url</EncodingType>",
            "<NextContinuationToken>on/+=</NextContinuationToken>",
            FIRST.format(key="a/per%2520cent+and%2Bplus%00%C3%A9"),
            "<CommonPrefixes><Prefix>a/b+c/</Prefix></CommonPrefixes>",
        )
    )
    assert found == {
        "Contents": [
            {
                "Key": "a/per%20cent and+plus\0\u00e9",
                "Size": 7,
                "LastModified": datetime(2026, 11, 27, 12, 0, 1, 500_000, tzinfo=UTC),
                "ETag": '"tag"',
            }
        ],
        "CommonPrefixes": [{"Prefix": "a/b c/"}],
        "IsTruncated": True,
        "NextContinuationToken": "on/+=",
    }


def test_names_are_as_they_are_where_the_server_codes_none() -> None:
    inside = "<IsTruncated>false</IsTruncated>", FIRST.format(key="a+b%20c &amp; d")
    found = read(page(*inside, head="<ListBucketResult>"))
    assert found is not None
    assert [one["Key"] for one in found["Contents"]] == ["a+b%20c & d"]


def test_a_page_of_nothing_is_empty() -> None:
    assert read(page("<IsTruncated>false</IsTruncated>")) == {
        "Contents": [],
        "CommonPrefixes": [],
        "IsTruncated": False,
    }


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no XML",
        page("<IsTruncated>false</IsTruncated>")[:-5],
        page(),
        page("<IsTruncated>false</IsTruncated><Contents><Key>a</Key></Contents>"),
        b"<Error><Code>SlowDown</Code></Error>",
        b'<!DOCTYPE x [<!ENTITY a "aa">]>' + page("<IsTruncated>&a;</IsTruncated>", head="<ListBucketResult>"),
        page("<IsTruncated>false</IsTruncated>", FIRST.format(key="a").replace(">7<", ">many<")),
        page("<IsTruncated>false</IsTruncated>", FIRST.format(key="a").replace("2026-", "yesterday ")),
    ],
)
def test_what_is_no_plain_page_is_left_to_the_sdk(content: bytes) -> None:
    assert read(content) is None


VERSION = (
    "<Version><Key>{key}</Key><VersionId>{number}</VersionId><IsLatest>{latest}</IsLatest>"
    "<LastModified>2026-11-27T12:00:01.000Z</LastModified><ETag>&quot;tag&quot;</ETag><Size>7</Size></Version>"
)
GONE = "<DeleteMarker><Key>b</Key><VersionId>9</VersionId><IsLatest>true</IsLatest></DeleteMarker>"


def versions(*inside: str, is_truncated: bool = False) -> bytes:
    told = f"<IsTruncated>{str(is_truncated).lower()}</IsTruncated><EncodingType>url</EncodingType>"
    return f"<ListVersionsResult>{told}{''.join(inside)}</ListVersionsResult>".encode()


def test_a_page_of_all_contents_has_each_with_its_version_and_no_deletions() -> None:
    first, second = VERSION.format(key="a+b", number=2, latest="true"), VERSION.format(key="a+b", number=1, latest="no")
    on = "<NextKeyMarker>a+b</NextKeyMarker><NextVersionIdMarker>1</NextVersionIdMarker>"
    found = read_versions(versions(first, second, GONE, on, is_truncated=True))
    assert found is not None
    assert [(one["Key"], one["VersionId"], one["IsLatest"]) for one in found["Versions"]] == [
        ("a b", "2", True),
        ("a b", "1", False),
    ]
    assert (found["NextKeyMarker"], found["NextVersionIdMarker"]) == ("a b", "1")
    last = read_versions(versions(first))
    assert last is not None
    assert not last["IsTruncated"]


@pytest.mark.parametrize(
    "content", [b"", page(), versions(is_truncated=True), versions("<Version><Key>a</Key></Version>")]
)
def test_what_is_no_plain_page_of_contents_is_left_to_the_sdk(content: bytes) -> None:
    assert read_versions(content) is None
