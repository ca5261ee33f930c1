"""GET /docs: a page of our own that makes /openapi.json readable without fetching anything from elsewhere.

FastAPI's own page loads Swagger UI from a CDN; this service must work, and be documented, without a network.
"""

import base64
import hashlib
import re
from functools import cache
from importlib.resources import files

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

router = APIRouter(include_in_schema=False)

# The page carries its own script and style, and their hashes let exactly these run.
_POLICY = (
    "default-src 'none'; script-src {script}; style-src {style}; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@router.get("/docs")
def docs() -> HTMLResponse:
    """The page; all that it shows comes from /openapi.json."""
    page, policy = _page()
    return HTMLResponse(page, headers={"Content-Security-Policy": policy})


@cache
def _page() -> tuple[str, str]:
    page = (files("service") / "page" / "docs.html").read_text("utf-8")
    hashes = {tag: _hashes(page, tag) for tag in ("script", "style")}
    return page, _POLICY.format(**hashes)


def _hashes(page: str, tag: str) -> str:
    found = re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    digests = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in found)
    return " ".join(f"'sha256-{digest}'" for digest in digests)
