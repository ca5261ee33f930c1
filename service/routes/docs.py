"""GET /docs: a page of our own that makes /openapi.json readable without fetching anything from elsewhere.

FastAPI's own page loads Swagger UI from a CDN; this service must work, and be documented, without a network.
"""

from importlib.resources import files

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

router = APIRouter(include_in_schema=False)

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'"


@router.get("/docs")
def docs() -> HTMLResponse:
    """The page; all that it shows comes from /openapi.json."""
    page = (files("service") / "page" / "docs.html").read_text("utf-8")
    return HTMLResponse(page, headers={"Content-Security-Policy": _POLICY, "X-Frame-Options": "DENY"})
