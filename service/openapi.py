"""An application in, its OpenAPI document out: what FastAPI reads of signatures, and what none of them says.

That is the options and the question of POST /recommend, the errors and their codes, and the answers that
middleware gives on every route. Operations are named as a generated client would call its methods.
"""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from service import errors
from service.routes import examples
from service.routes.responses import errors as described
from service.schemas.health import Problem
from service.schemas.options import Options
from service.schemas.question import Question

_METHODS = ("get", "post", "put", "patch", "delete")
_EVERYWHERE = (403, 503)  # the fence around a server without keys; a process that is about to end
_WITH_BODY = (400, 408, 413)  # no text, too slow, too large
_TAKEN = {  # by (method, path): names that say too little alone, or stand for two routes
    ("post", "/recommend"): "recommend_unversioned",
    ("get", "/v1/uploads/{upload_id}"): "get_upload",
    ("delete", "/v1/uploads/{upload_id}"): "delete_upload",
    ("get", "/v1/jobs/{job_id}"): "get_job",
    ("delete", "/v1/jobs/{job_id}"): "cancel_job",
    ("get", "/v1/jobs/{job_id}/events"): "follow_job",
    ("get", "/v1/tracks/{track_id}"): "get_track",
    ("get", "/v1/tracks"): "list_tracks",
    ("get", "/v1/tracks/{track_id}/audio"): "track_audio",
    ("get", "/v1/tracks/{track_id}/peaks"): "track_peaks",
    ("get", "/v1/samples"): "list_samples",
    ("get", "/v1/samples/{name}"): "get_sample",
}


def operation_id(route: APIRoute) -> str:
    """The name of an operation, once and for all: generated clients are programmed against it."""
    method = min(route.methods or {"GET"}).lower()
    return _TAKEN.get((method, route.path_format), route.name)


def document(app: FastAPI) -> None:
    """Let `app.openapi` say all of it."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            _complete(plain())
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign]  # the way FastAPI documents for extending it


def _complete(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for model in (Options, Problem, Question):
        found = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(found.pop("$defs", {}))
        schemas[model.__name__] = found
    for name in ("HTTPValidationError", "ValidationError"):  # FastAPI's own 422: nothing answers in it
        schemas.pop(name, None)
    document["x-errors"] = [
        {"code": code, "status": status, "title": title} for code, (status, title) in errors.STATUS.items()
    ]
    for operation in _operations(document):
        _answer_everything(operation)
    examples.show(document["paths"])


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for methods in document["paths"].values():
        yield from (methods[method] for method in _METHODS if method in methods)


def _answer_everything(operation: dict[str, Any]) -> None:
    answers = operation["responses"]
    if "HTTPValidationError" in str(answers.get("422")):
        del answers["422"]
        answers |= {str(status): one for status, one in described(422).items()}
    more = (*_EVERYWHERE, *(_WITH_BODY if "requestBody" in operation else ()))
    for status, one in described(*more).items():
        answers.setdefault(str(status), one)
    operation["responses"] = dict(sorted(answers.items()))
