"""The OpenAPI document and the page of routes say what the routes do."""

from __future__ import annotations

import re

import pytest

from tallyport.api import parameters, rights
from tests.api import documents


def test_the_committed_documents_are_fresh() -> None:
    with open(documents.OPENAPI, encoding="utf-8") as stream:
        assert stream.read() == documents.openapi_text(), "run: python -m tests.api.documents"
    with open(documents.PAGE, encoding="utf-8") as stream:
        assert stream.read() == documents.page(), "run: python -m tests.api.documents"
    with open(documents.MATRIX, encoding="utf-8") as stream:
        assert stream.read() == documents.matrix(), "run: python -m tests.api.documents, and look at what changed"


def test_every_operation_is_named_once_and_declares_its_errors() -> None:
    found = documents.openapi()
    names = []
    for path, operations in found["paths"].items():
        for method, operation in operations.items():
            names.append(operation["operationId"])
            assert operation["summary"], path
            assert {"400", "401", "403", "404", "500"} <= set(operation["responses"]), path
            assert (operation["security"] == []) == ((method.upper(), path) in rights.PUBLIC)
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z_]+", name) for name in names)


def test_what_is_asked_with_a_version_may_answer_that_it_is_the_same() -> None:
    for path, operations in documents.openapi()["paths"].items():
        for operation in operations.values():
            asked = {one["name"] for one in operation.get("parameters", [])}
            assert ("If-None-Match" in asked) == ("304" in operation["responses"]), path


@pytest.mark.parametrize("table", [parameters.PARAMETERS, parameters.BODIES])
def test_parameters_and_bodies_belong_to_routes(table) -> None:
    assert set(table) <= set(rights.RULES) | rights.PUBLIC


def test_the_document_has_no_reference_that_leads_nowhere() -> None:
    text = documents.openapi_text()
    components = documents.openapi()["components"]
    for kind, name in re.findall(r'"#/components/([a-z]+)/([^"]+)"', text):
        assert name in components[kind]
