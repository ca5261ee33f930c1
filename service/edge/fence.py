"""Requests in, those that no foreign web page made its visitor's browser send out.

A web page elsewhere can make a browser post to this server, or rebind its own name to 127.0.0.1. The first
carries a foreign `Origin`, the second a foreign `Host`; both are refused (design section 6). With keys any
host name may be right, since proxies have theirs, and what changes nothing is refused for want of a key.
"""

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import problem

_READING = frozenset({"GET", "HEAD"})


def is_loopback(host: str) -> bool:
    """Whether a host name or address without port is this machine and nothing else."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _host_of(authority: str) -> str:
    """`[::1]:8000` -> `::1`; an empty string for what is no authority."""
    try:
        return urlsplit(f"//{authority}").hostname or ""
    except ValueError:
        return ""


class Fence:
    """ASGI middleware that lets no foreign origin through, and without keys no foreign host."""

    def __init__(self, app: ASGIApp, *, keyless: bool = True, origins: Collection[str] = ()) -> None:
        """Args: `origins` may ask although they are foreign, such as `https://panel.example`."""
        self.app = app
        self._keyless = keyless
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or answer 403."""
        if scope["type"] == "http":
            request = Request(scope)
            fault = self._fault(
                request.method, request.headers.get("host", ""), request.headers.getlist("origin")
            )
            if fault:
                await problem(request, "forbidden", fault)(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _fault(self, method: str, host: str, origins: list[str]) -> str | None:
        if self._keyless and not is_loopback(_host_of(host)):
            return (
                "without API keys this server answers to localhost and 127.0.0.1 only: configure YUYIN_KEYS"
            )
        if not self._keyless and method in _READING:
            return None
        own = {f"http://{host}".lower(), f"https://{host}".lower()}
        if all(origin.lower() in own or origin.lower() in self._origins for origin in origins):
            return None
        if self._keyless:
            return "without API keys this server takes no requests from web pages of other origins"
        return "web pages of other origins may not do this: list theirs in YUYIN_CORS_ORIGINS"
