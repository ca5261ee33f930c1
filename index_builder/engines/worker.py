"""One process of the local engine: (function, task) in over a socket, its value out, until the socket closes.

Started as `python -P -m index_builder.engines.worker FD`. What a function raises ends this process with
the traceback on standard error; `index_builder.engines.local` charges it to the task.
"""

import sys
from multiprocessing.connection import Connection


def serve(descriptor: int) -> None:
    """Answer until the engine closes its end or is gone."""
    with Connection(descriptor) as connection:
        while True:
            try:
                function, task = connection.recv()
            except (EOFError, ConnectionResetError):
                return
            value = function(task)
            try:
                connection.send(value)
            except BrokenPipeError:
                return


if __name__ == "__main__":
    serve(int(sys.argv[1]))
