"""GET /v1/samples...: the configured folder in, cuts to try the page with out."""

from pathlib import Path
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request, Response

from model.errors import NotFound
from service.deps import PartsDep, needs
from service.edge.ranges import file_answer
from service.routes.responses import errors, file_of
from service.schemas.samples import Sample, SampleList

router = APIRouter(prefix="/v1", tags=["samples"], dependencies=[Depends(needs("recommend"))])

_TYPES = {".mp4": "video/mp4", ".webm": "video/webm"}


@router.get("/samples", responses=errors(401, 403))
def samples(parts: PartsDep) -> SampleList:
    """Cuts to try the page with; none unless `YUYIN_SAMPLES` names a folder of them."""
    return SampleList(samples=[_sample(path) for path in _files(parts.settings.samples)])


@router.get(
    "/samples/{name}",
    response_class=Response,
    responses=file_of(*_TYPES.values()) | errors(401, 403, 404, 416),
)
def sample(name: str, request: Request, parts: PartsDep) -> Response:
    """One of them; Range and If-None-Match are honoured."""
    for path in _files(parts.settings.samples):
        if path.name == name:
            return file_answer(request, path, _TYPES[path.suffix])
    raise NotFound(f"no sample {name!r}: GET /v1/samples lists them")


def _files(folder: Path | None) -> list[Path]:
    if folder is None or not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix in _TYPES and path.is_file())


def _sample(path: Path) -> Sample:
    """`1-quick-and-lively.mp4` is called 'Quick and lively'."""
    words = path.stem.lstrip("0123456789-_ ").replace("-", " ").replace("_", " ") or path.stem
    return Sample(
        name=path.name, title=words[0].upper() + words[1:], video_url=f"/v1/samples/{quote(path.name)}"
    )
