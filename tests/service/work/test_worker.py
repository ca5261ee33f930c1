"""What a worker follows while it loads."""

import asyncio
import os
import time
from pathlib import Path

from index_builder.rights.versions import order
from service.settings import Settings
from service.stores.opened import open_shared
from service.work.worker import _answering


def test_a_withdrawal_holds_while_a_snapshot_is_loading(store: Path) -> None:
    settings = Settings(store=store, pools={"house": store}, follow_s=0.01)
    pointer = store / "CURRENT"
    named = pointer.read_bytes()

    async def withdraw() -> bool:
        async with open_shared(settings) as shared, _answering(settings, shared) as answering:
            snapshot = answering.current.take().snapshot
            track_id = snapshot.catalogue.track_ids[0]

            def withdrawn() -> bool:
                licence = answering.rights.take(snapshot).rights.licence(track_id)
                return bool(licence and licence.withdrawn)

            pointer.unlink()
            os.mkfifo(pointer)  # whoever reads it waits until somebody writes
            try:
                await asyncio.sleep(0.2)  # a look at it has begun
                order(store, track_id, {"withdrawn": True})
                until_s = time.monotonic() + 10
                while not withdrawn() and time.monotonic() < until_s:
                    await asyncio.sleep(0.01)
                return withdrawn()
            finally:
                pointer.rename(store / "read")
                pointer.write_bytes(named)
                (store / "read").write_bytes(named)  # whoever waits goes on

    assert asyncio.run(withdraw())
