"""GET /: the audition page, in which an editor drops a cut and hears the pool under it."""

import secrets
from importlib.resources import files
from pathlib import Path

from fastapi import APIRouter, FastAPI, HTTPException
from fastapi.responses import HTMLResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.types import Scope

router = APIRouter(include_in_schema=False)

# Everything comes from here; blob: is the cut itself, which the browser plays from its own disk.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; connect-src 'self' blob:; "
    "img-src 'self' data: blob:; media-src 'self' blob:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


def _folder() -> Path:
    return Path(str(files("service") / "page" / "audition"))


@router.head("/")
@router.get("/")
def page() -> HTMLResponse:
    """The page; what it shows it asks of this service, with the visitor's own key."""
    nonce = secrets.token_urlsafe(16)  # for the style sheet that the waveforms carry with them
    text = (_folder() / "index.html").read_text("utf-8").replace("{nonce}", nonce)
    return HTMLResponse(text, headers={"Content-Security-Policy": _POLICY.format(nonce=nonce)})


class _Files(StaticFiles):
    """The page's own files: always asked for again (an upgrade must not meet old modules), index.html not."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        if path.endswith(".html"):  # `page` gives it, with its policy
            raise HTTPException(404)
        answer = await super().get_response(path, scope)
        answer.headers["Cache-Control"] = "no-cache"
        return answer


def mount(app: FastAPI) -> None:
    """Serve the page's own modules, styles and icon."""
    app.mount("/page", _Files(directory=_folder()), name="page")
