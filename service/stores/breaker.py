"""Outcomes of calls in, whether to make the next one out: who is away does not cost a timeout each time."""

import time

FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 5.0


class Breaker:
    """Closed while calls succeed; open after a failure, letting one probe through after each pause.

    The pause doubles with each failed probe. On one event loop: no lock.
    """

    def __init__(
        self, first_pause_s: float = FIRST_PAUSE_S, longest_pause_s: float = LONGEST_PAUSE_S
    ) -> None:
        self._first_pause_s, self._longest_pause_s = first_pause_s, longest_pause_s
        self._pause_s = 0.0
        self._next_probe_s = 0.0
        self._probing = False

    @property
    def closed(self) -> bool:
        """Whether the last call succeeded."""
        return self._pause_s == 0.0

    def allows(self) -> bool:
        """Whether to make a call now; a probe that is allowed is the only one of its pause."""
        if self.closed:
            return True
        now_s = time.monotonic()
        if now_s < self._next_probe_s:
            return False
        self._next_probe_s = now_s + self._pause_s  # another one, should this one never come back
        self._probing = True
        return True

    def succeeded(self) -> None:
        """Close."""
        self._pause_s, self._probing = 0.0, False

    def failed(self) -> None:
        """Open, or stay open for longer; calls that began before it opened count once."""
        if self.closed:
            self._pause_s = self._first_pause_s
        elif self._probing:
            self._pause_s = min(2 * self._pause_s, self._longest_pause_s)
        else:
            return
        self._probing = False
        self._next_probe_s = time.monotonic() + self._pause_s
