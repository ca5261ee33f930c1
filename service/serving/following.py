"""A notice that something of the store changed in, a look at it out; a look now and then without one."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor

from service.stores.shared import Notices

log = logging.getLogger("yuyin.service")


async def follow(
    notices: Notices, topic: str, look: Callable[[], None], loader: Executor, *, every_s: float
) -> None:
    """Run `look` in `loader` whenever `topic` is said to have changed, and every `every_s`; endlessly."""
    with notices.listen(topic) as listener:
        while True:
            await listener.wait(every_s)
            looked = asyncio.get_running_loop().run_in_executor(loader, look)
            await asyncio.wait({looked})
            if (error := looked.exception()) is not None:  # what comes next may be better
                log.error("what changed could not be followed", exc_info=error, extra={"topic": topic})
