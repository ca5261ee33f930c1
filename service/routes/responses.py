"""HTTP statuses in, their OpenAPI descriptions with the codes that come under them out."""

from typing import Any

from service.errors import PROBLEM, STATUS


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For the `responses` of a route."""
    return {status: _described(status) for status in statuses}


def _described(status: int) -> dict[str, Any]:
    codes = {code: title for code, (given, title) in STATUS.items() if given == status}
    examples = {code: {"value": _example(code, title, status)} for code, title in codes.items()}
    return {
        "description": ", ".join(codes),
        "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": examples}},
    }


def _example(code: str, title: str, status: int) -> dict[str, Any]:
    body = {"type": f"/docs#{code}", "title": title, "status": status, "code": code}
    return {**body, "detail": "one sentence that says what to do", "request_id": "9f2c"}
