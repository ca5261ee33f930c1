"""`yuyin worker`: settings in, queued jobs run out."""

from pathlib import Path
from typing import Annotated

import typer


def worker(
    store: Annotated[Path | None, typer.Option("--store", help="Default: YUYIN_STORE or ./store.")] = None,
) -> None:
    """Run queued jobs, such as reindexing and recommendations for later, instead of the servers.

    It takes the settings of the servers, above all YUYIN_REDIS_URL and YUYIN_POOLS, and works on the same
    store. Several may run: a job runs once, and another worker takes it up if one dies over it.
    """
    import asyncio
    import logging.config

    from service.edge.logs import log_config
    from service.processes.heap import one_heap
    from service.settings import read_settings
    from service.work.worker import check, work

    settings = read_settings(**({} if store is None else {"store": store}))
    check(settings)
    logging.config.dictConfig(log_config(settings.log_level))
    one_heap()
    asyncio.run(work(settings))
