"""Arguments in, an exit code out: 0 done, 1 finished with failures it reports, 2 bad input."""

import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

from model.artifact import ASIDE
from model.errors import YuyinError
from yuyin.cli.app import app

TRAIN_MODULES = {
    "torch",
    "onnx",
    "pyarrow",
    "PIL",
    "matplotlib",
    "sklearn",
    "cv2",
    "safetensors",
    "transformers",
    "torchaudio",
}


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
    except OSError as error:
        _complain(_said(error))
        sys.exit(2)


def _said(error: OSError) -> str:
    if error.filename is None:
        return f"the system refuses ({error}): check the paths, their rights and the space that is left"
    place = Path(str(error.filename))
    if place.name.startswith(ASIDE):  # a name that only we know
        place = place.parent
    return (
        f"{place} cannot be read or written ({error.strerror}): "
        "check the path, its rights and the space that is left"
    )


def _complain(sentence: str) -> None:
    console = Console(stderr=True, highlight=False)
    console.print(Text.assemble(("error:", "bold red"), " ", sentence), soft_wrap=True)
