"""HTTP statuses in, their OpenAPI descriptions with the codes that come under them out."""

from typing import Any

from service.errors import PROBLEM, STATUS


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For the `responses` of a route."""
    return {status: _described(status) for status in statuses}


def file_of(*media_types: str) -> dict[int | str, dict[str, Any]]:
    """For the `responses` of a route that `service.edge.ranges.file_answer` answers."""
    content = {media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in media_types}
    return {
        200: {"description": "All of it.", "content": content},
        206: {"description": "The part that `Range` asks for.", "content": content},
        304: {"description": "`If-None-Match` has its ETag."},
    }


def _described(status: int) -> dict[str, Any]:
    codes = {code: title for code, (given, title) in STATUS.items() if given == status}
    example = _example(*next(iter(codes.items())), status)
    return {
        "description": ", ".join(codes),
        "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}},
    }


def _example(code: str, title: str, status: int) -> dict[str, Any]:
    body = {"type": f"/docs#{code}", "title": title, "status": status, "code": code}
    return {**body, "detail": "one sentence that says what to do", "request_id": "9f2c"}
