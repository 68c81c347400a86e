"""Environments and the secrets in them, as this dialect shows and takes them."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from tallyport.api import paging
from tallyport.api.etags import expected_version, is_known, tag
from tallyport.api.times import present
from tallyport.api.wiring import Called, Desked, Document, json_response
from tallyport.control import environments, named_secrets
from tallyport.control.named_secrets import Place
from tallyport.control.refusals import Invalid
from tallyport.domain.documents import Reader
from tallyport.domain.secrets import SHOWN
from tallyport.store.environments import Environment
from tallyport.store.named_secrets import NamedSecret

router = APIRouter(prefix="/v1", tags=["environments"])

SUCCESS = {"data": {"success": True}}
GUESTS = ("magic_link", "shared_link")
KEPT = ("guestAuthentication", "metadata", "translationsPath", "namespaces", "languageOverride")
LONGEST = 1_024  # characters of a secret, and of its name


@router.get("/environments", summary="List environments")
def list_environments(request: Request, desk: Desked) -> Response:
    part = paging.slice_of(request)
    found, total = environments.page(desk, offset=part.offset, limit=part.limit)
    return json_response({"data": [environment_of(one) for one in found], "pagination": paging.pagination(part, total)})


@router.post("/environments", summary="Make an environment")
def create_environment(desk: Desked, caller: Called, document: Document) -> Response:
    reader = Reader()
    given = _read(reader, document)
    name = reader.text(given.get("name"), "/name")
    is_production = reader.flag(given.get("isProd", False), "/isProd")
    if name is None or reader.problems:
        raise Invalid(reader.problems)
    kept = {key: given[key] for key in KEPT if given.get(key) is not None}
    made = environments.create(desk, name, kept, caller, is_production=bool(is_production))
    return _answer(made, {"Location": f"/v1/environments/{made.id}"})


@router.get("/environments/{environment}", summary="Show an environment")
def show_environment(request: Request, desk: Desked, environment: str) -> Response:
    found = environments.show(desk, environment)
    if is_known(request, found.version):
        return Response(status_code=304, headers=tag(found.version))
    return _answer(found)


@router.patch("/environments/{environment}", summary="Change an environment")
def change_environment(
    request: Request, desk: Desked, caller: Called, environment: str, document: Document
) -> Response:
    reader = Reader()
    given = _read(reader, document)
    patch: dict[str, Any] = {"document": {key: given[key] for key in KEPT if key in given}}
    if "name" in given:
        patch["name"] = reader.text(given["name"], "/name")
    if "isProd" in given:
        patch["is_production"] = reader.flag(given["isProd"], "/isProd")
    if reader.problems:
        raise Invalid(reader.problems)
    changed = environments.change(desk, environment, patch, caller, version=expected_version(request, None))
    shown = environment_of(changed)  # the vendor's client reads this answer without its envelope, alone of all
    return json_response({**shown, "data": shown}, headers=tag(changed.version))


@router.delete("/environments/{environment}", summary="Delete an environment that nothing is in")
def delete_environment(request: Request, desk: Desked, caller: Called, environment: str) -> Response:
    now = environments.show(desk, environment).version
    expected_version(request, now)
    environments.delete(desk, environment, caller)
    return json_response(SUCCESS)


@router.get("/secrets", summary="List secrets by name, never with their values")
def list_secrets(request: Request, desk: Desked) -> Response:
    query = request.query_params
    place = Place(query.get("environmentId") or "production", query.get("spaceId", ""), query.get("actorId", ""))
    return json_response({"data": [_secret(one) for one in named_secrets.listed(desk, place)]})


@router.post("/secrets", summary="Keep a secret under a name; one of this name gets the new value")
def put_secret(desk: Desked, caller: Called, document: Document) -> Response:
    reader = Reader()
    given = reader.members(document, "", ("name", "value", "environmentId", "spaceId", "actorId"))
    name, value = (reader.text(given.get(key), f"/{key}") for key in ("name", "value"))
    for key, found in (("name", name), ("value", value)):
        if found is not None and len(found) > LONGEST:
            reader.wrong(f"/{key}", "out_of_range", f"may have at most {LONGEST} characters")
    if name is not None and not name.isprintable():
        reader.wrong("/name", "unknown_value", "must be printable")
    where: dict[str, str] = {}
    for key in ("environmentId", "spaceId", "actorId"):
        if given.get(key) is not None:
            where[key] = reader.text(given[key], f"/{key}") or ""
    if name is None or value is None or reader.problems:
        raise Invalid(reader.problems)
    place = Place(where.get("environmentId", "production"), where.get("spaceId", ""), where.get("actorId", ""))
    return json_response({"data": [_secret(named_secrets.put(desk, place, name, value, caller))]})


@router.delete("/secrets/{secret}", summary="Forget a secret")
def delete_secret(desk: Desked, caller: Called, secret: str) -> Response:
    return json_response({"data": [_secret(named_secrets.delete(desk, secret, caller))]})


def environment_of(value: Environment) -> dict[str, Any]:
    """Show an environment."""
    kept = value.document
    return present(
        {
            "id": value.id,
            "accountId": "local",
            "name": value.name,
            "isProd": value.is_production,
            "guestAuthentication": kept.get("guestAuthentication", []),
            "features": {},
            "metadata": kept.get("metadata", {}),
            "translationsPath": kept.get("translationsPath"),
            "namespaces": kept.get("namespaces"),
            "languageOverride": kept.get("languageOverride"),
        }
    )


def _secret(value: NamedSecret) -> dict[str, Any]:
    """Show a secret: its clients need the key of the value, which is never told."""
    return present(
        {
            "id": value.id,
            "name": value.name,
            "value": SHOWN,
            "environmentId": value.environment,
            "spaceId": value.space or None,
            "actorId": value.actor or None,
        }
    )


def _read(reader: Reader, document: object) -> Mapping[str, Any]:
    given = reader.members(document, "", ("name", "isProd", *KEPT))
    if given.get("guestAuthentication") is not None:
        for path, one in reader.items(given["guestAuthentication"], "/guestAuthentication"):
            reader.choice(one, path, list(GUESTS))
    if given.get("namespaces") is not None:
        reader.texts(given["namespaces"], "/namespaces")
    if not isinstance(given.get("metadata", {}), Mapping | None):
        reader.wrong_type(given["metadata"], "/metadata", "an object")
    for key in ("translationsPath", "languageOverride"):
        if given.get(key) is not None:
            reader.text(given[key], f"/{key}")
    return given


def _answer(value: Environment, headers: Mapping[str, str] | None = None) -> Response:
    return json_response({"data": environment_of(value)}, headers={**tag(value.version), **(headers or {})})
