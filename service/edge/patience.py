"""A connection in, the same out, unless its caller dawdles over headers or sends what is no HTTP.

uvicorn waits without an end for the first byte and for the rest of the headers, and reads on without an end
what is left of a body that was refused. A proxy in front has clocks of its own (docs/proxy.md); this is for
services without one.
"""

import asyncio
import json

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from service.errors import PROBLEM, told

HEADERS_S = 15.0  # from the connection, or from a request's first byte, to the end of its headers
LINGER_S = (
    5.0  # to read and drop what is still on its way after a refusal: closing at once could lose the answer
)
MAX_HEADER_BYTES = 32 * 1024


class PatientProtocol(H11Protocol):
    """For `uvicorn.Config(http=PatientProtocol, h11_max_incomplete_event_size=MAX_HEADER_BYTES)`."""

    _dawdling: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock of the first request."""
        super().connection_made(transport)
        self._expect_headers()

    def data_received(self, data: bytes) -> None:
        """Start the clock with the first bytes of a request, stop it with the end of its headers."""
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:
            self._expect_headers()
        else:
            self._no_longer_dawdling()

    def on_response_complete(self) -> None:
        """Give the rest of a body that nobody reads a moment."""
        super().on_response_complete()
        if self._only_lingers() and not self.transport.is_closing():
            self.loop.call_later(LINGER_S, self._end_lingering)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._no_longer_dawdling()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP never reaches the service; its refusal is a problem like any other."""
        body = json.dumps(told("bad_request", f"{msg} Look at its first line and its headers.")).encode()
        headers = [("content-type", PROBLEM), ("content-length", str(len(body))), ("connection", "close")]
        answer = h11.Response(status_code=400, headers=headers, reason=b"Bad Request")
        for event in (answer, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _only_lingers(self) -> bool:
        return self.conn.our_state is h11.DONE and self.conn.their_state is h11.SEND_BODY

    def _end_lingering(self) -> None:
        if self._only_lingers():  # else the body has ended, and this may be the next request
            self.transport.close()

    def _expect_headers(self) -> None:
        if self._dawdling is None:
            self._dawdling = self.loop.call_later(HEADERS_S, self.transport.close)

    def _no_longer_dawdling(self) -> None:
        if self._dawdling is not None:
            self._dawdling.cancel()
            self._dawdling = None
