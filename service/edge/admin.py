"""Requests in, those for admins out only where they came in by the admins' own address."""

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import problem


class AdminAddress:
    """ASGI middleware: /admin/... and /metrics are unknown on every other port than this."""

    def __init__(self, app: ASGIApp, port: int) -> None:
        self.app = app
        self._port = port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or answer 404, as for any address that is no route."""
        if scope["type"] != "http" or not _for_admins(scope["path"]) or self._came_in_by(scope):
            await self.app(scope, receive, send)
            return
        detail = (
            f"{scope['method']} {scope['path']} is no route of this address: admins have one of their own"
        )
        await problem(Request(scope), "not_found", detail)(scope, receive, send)

    def _came_in_by(self, scope: Scope) -> bool:
        """By the socket that took the connection, whatever the request says of itself."""
        server = scope.get("server")
        return server is not None and server[1] == self._port


def _for_admins(path: str) -> bool:
    return path == "/metrics" or path == "/admin" or path.startswith("/admin/")
