"""GET /livez, /readyz, /version: is the process alive, can it answer, and what is it."""

from importlib.metadata import version as distribution_version

from fastapi import APIRouter, Depends, Request, Response

from service.deps import Parts, PartsDep, any_key
from service.errors import problem
from service.routes.responses import errors
from service.schemas.health import Ready, Version
from service.serving.current import Serving

router = APIRouter(tags=["health"])


@router.get("/livez")
async def livez() -> dict[str, str]:
    """The process answers; nothing else is asked. A restart is the cure if it does not."""
    return {"status": "alive"}


BUSY_S = 1


@router.get("/readyz", response_model=Ready, responses=errors(503))
async def readyz(request: Request, response: Response, parts: PartsDep) -> Ready | Response:
    """Whether a recommendation can be answered, and which part is missing if not.

    503 `not_ready`: nothing can be answered, `parts` says why. 200 `degraded`: answered, but a part is not as
    it should be, such as a newer snapshot that was refused. 200 `busy`: every place is taken, the next video
    is answered 429 until one is free (`Retry-After`); no reason to take this server out of a balancer.
    """
    serving = parts.current.peek()  # once: the first one may come in force meanwhile
    found = _parts(parts, serving)
    if serving is None or not parts.rights.readable or parts.confined.blocked:
        detail = "; ".join(f"{name}: {state}" for name, state in found.items() if state != "ok")
        return problem(request, "not_ready", detail, parts=found)
    status = "ready" if all(state == "ok" for state in found.values()) else "degraded"
    settings, inside = parts.settings, parts.workers.admitted
    places = settings.in_flight + settings.queue
    if inside >= places:
        status = "busy"
        response.headers["Retry-After"] = str(BUSY_S)
    return Ready.model_validate(
        {
            "status": status,
            "snapshot": serving.snapshot.id,
            "bundle": serving.bundle.id,
            "parts": found,
            "devices": serving.devices,
            "inside": inside,
            "places": places,
        }
    )


def _parts(parts: Parts, serving: Serving | None) -> dict[str, str]:
    refusal = parts.current.refusal
    found = {
        "store": "ok"
        if parts.settings.store.is_dir()
        else "missing: build one with 'yuyin index build POOL'",
        "snapshot": "ok" if serving else "missing: build one with 'yuyin index build POOL'",
        "bundle": "ok" if serving else "none loaded, since a snapshot names it",
        "rights": "ok",
    }
    if parts.settings.redis_url is not None:
        found["redis"] = parts.shared.state()
    if parts.keyring:
        found["keys"] = "ok"
    if parts.keys.refused is not None:
        found["keys"] = "refused, those before stay in force: the server's log says why"
    if parts.rights.refused is not None:
        found["rights"] = f"refused ({parts.rights.refused}): the server's log says why"
    if refusal is not None:
        found["snapshot"] = f"{refusal.snapshot_id} was refused ({refusal.code}): the server's log says why"
    if parts.confined.fault is not None:
        found["sandbox"] = parts.confined.fault
    return found | parts.room.faults


@router.get("/version", dependencies=[Depends(any_key)], responses=errors(401))
async def version(parts: PartsDep) -> Version:
    """What runs here, and the words that the bundle understands."""
    serving = parts.current.peek()
    bundle = serving.bundle if serving else None
    return Version(
        version=distribution_version("yuyin"),
        snapshot=serving.snapshot.id if serving else None,
        bundle=bundle.id if bundle else None,
        system=bundle.system if bundle else None,
        profile=bundle.profile if bundle else None,
        tags=list(bundle.tags) if bundle else [],
        recipe=bundle.recipe if bundle else None,
    )
