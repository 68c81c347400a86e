"""A body that is JSON, or a CSV file: as it is, or in a form as browsers and curl send it."""

from typing import Annotated, Any, NamedTuple

from fastapi import Depends, Request
from starlette.datastructures import UploadFile

from tallyport.api.wiring import read_json
from tallyport.control.refusals import invalid


class Uploaded(NamedTuple):
    """What was sent."""

    content: bytes
    is_csv: bool

    def document(self) -> Any:
        """Read it as JSON."""
        return read_json(self.content)


async def _uploaded(request: Request) -> Uploaded:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        async with request.form(max_files=1, max_fields=10) as form:
            for value in form.values():
                if isinstance(value, UploadFile):
                    return Uploaded(await value.read(), True)
        raise invalid("", "the form holds no file", code="missing")
    return Uploaded(await request.body(), kind in ("text/csv", "application/csv"))


Upload = Annotated[Uploaded, Depends(_uploaded)]
