"""A decoder in, how well it is confined on this machine out; tried until known: it takes a process."""

import logging

from model.errors import DecoderLost, NoSandbox, YuyinError
from model.media.child import Decoder

log = logging.getLogger("yuyin.service")

SANDBOX = "sandbox"  # the topic of its follower; nobody publishes it
FOLLOW_S = 60.0  # what kept the answer back may pass: memory, descriptors, a killed process


class Confined:
    """What the attempt found; nothing before it."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._known = False  # a machine that could be judged stays as it is
        self.fault: str | None = None  # in the words of /readyz
        self.blocked = False  # no upload can be decoded at all

    def look(self) -> None:
        """Let a child try to get out, unless one did so before; blocks."""
        if self._known:
            return
        before = self.fault
        self.fault = self._tried()
        if self.fault is not None and self.fault != before:
            log.warning("decoders are not confined as they should be", extra={"reason": self.fault})

    def _tried(self) -> str | None:
        try:
            guards = self._decoder.guards()
        except NoSandbox:
            self._known = self.blocked = True
            return "missing, and required: no upload is decoded; ask yuyin doctor"
        except DecoderLost:
            return "the decoding process ends again and again: the server's log and yuyin doctor say more"
        except (YuyinError, OSError) as error:
            log.warning("the sandbox could not be tried", exc_info=error)
            return "could not be tried, so nothing is known: the server's log and yuyin doctor say more"
        self._known = True
        if guards.possible:
            return f"a decoder could still {', '.join(guards.possible)}: ask yuyin doctor"
        if not guards.calls_filtered:
            return "only resource limits confine decoders (YUYIN_SANDBOX=prefer): ask yuyin doctor"
        return None
