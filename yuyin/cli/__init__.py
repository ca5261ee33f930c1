"""Arguments in, an exit code out: 0 done, 1 finished with failures it reports, 2 bad input."""

import sys

from rich.console import Console

from model.errors import YuyinError
from yuyin.cli.app import app

TRAIN_MODULES = {"torch", "onnx", "pyarrow", "PIL", "matplotlib", "sklearn", "cv2"}


def main() -> None:
    """Run the command line; what YuYin raises on purpose becomes one sentence and exit code 2."""
    try:
        app()
    except YuyinError as error:
        _complain(str(error))
        sys.exit(2)
    except ImportError as error:  # commands import what they need when they run
        if error.name in TRAIN_MODULES:
            _complain(f"this command needs {error.name}: in the checkout, pip install -e '.[cpu,train]'")
        else:
            _complain(f"this installation is not whole ({error}): `yuyin doctor` says what to do about it")
        sys.exit(2)


def _complain(sentence: str) -> None:
    Console(stderr=True, highlight=False).print(f"[bold red]error:[/bold red] {sentence}", soft_wrap=True)
