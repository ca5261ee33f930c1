"""A decoder in, how well it is confined on this machine out; tried once, since it takes a process to try."""

import logging

from model.errors import DecoderLost, NoSandbox
from model.media.child import Decoder

log = logging.getLogger("yuyin.service")


class Confined:
    """What the attempt found; nothing before it."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self.fault: str | None = None  # in the words of /readyz
        self.blocked = False  # no upload can be decoded at all

    def look(self) -> None:
        """Let a child try to get out; blocks."""
        try:
            guards = self._decoder.guards()
        except NoSandbox:
            self.blocked, self.fault = True, "missing, and required: no upload is decoded; ask yuyin doctor"
        except DecoderLost:
            self.fault = (
                "the decoding process ends again and again: the server's log and yuyin doctor say more"
            )
        else:
            if guards.possible:
                self.fault = f"a decoder could still {', '.join(guards.possible)}: ask yuyin doctor"
            elif not guards.calls_filtered:
                self.fault = "only resource limits confine decoders (YUYIN_SANDBOX=prefer): ask yuyin doctor"
        if self.fault is not None:
            log.warning("decoders are not confined as they should be", extra={"reason": self.fault})
