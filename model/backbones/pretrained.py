"""A class of Hugging Face's library, a configuration and tensors in; the network in eval mode out.

The library reads no file here: it gets tensors that `model.backbones.checkpoint` read, and maps the names of
published checkpoints to its own, which changed from its version 4 to 5.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from model.backbones.checkpoint import refuse
from model.errors import Mismatch, NotInstalled

# The library imports these where it finds them, our networks need neither, and builds of them that do not
# fit the torch beside them cannot be imported: CPU torch with the package index's torchaudio, for one.
UNUSED = ("torchaudio", "torchvision")


def build(kind: str, config: Mapping[str, Any], tensors: Mapping[str, Tensor], **options: Any) -> nn.Module:
    """A network of `transformers`.

    Args:
        kind: what its classes' names begin with: "AST" or "Bert".
        config: the checkpoint's config.json.
        tensors: by published name, without those of heads.
        options: of the network's constructor.

    Returns:
        In eval mode and float32; its attention is written out in plain operators, which a graph can hold.

    Raises:
        Mismatch: if a tensor is missing, unknown or of another shape, or the configuration is none of it.
        NotInstalled: without `transformers`.
    """
    with quietly() as transformers:
        settled = configuration(transformers, kind, config)
        try:
            network, report = getattr(transformers, f"{kind}Model").from_pretrained(
                None,
                config=settled,
                state_dict=dict(tensors),
                attn_implementation="eager",
                ignore_mismatched_sizes=True,
                output_loading_info=True,
                **options,
            )
        except (KeyError, ValueError) as error:  # an unknown activation, heads that do not divide the width
            raise Mismatch(_refused(kind, error)) from error
    shapes = [
        f"{name} is {tuple(found)}, not {tuple(wanted)}"
        for name, found, wanted in sorted(report["mismatched_keys"])
    ]
    missing = set(report["missing_keys"]) - {name for name, *_ in report["mismatched_keys"]}
    refuse(kind, missing, set(report["unexpected_keys"]), shapes)
    built: nn.Module = network.float().eval()
    return built


def configuration(transformers: Any, kind: str, config: Mapping[str, Any]) -> Any:
    """The library's own configuration object; raises `Mismatch` if it refuses the values."""
    from huggingface_hub.errors import StrictDataclassError

    try:
        return getattr(transformers, f"{kind}Config").from_dict(dict(config))
    except (TypeError, ValueError, StrictDataclassError) as error:
        raise Mismatch(_refused(kind, error)) from error


def _refused(kind: str, error: Exception) -> str:
    reason = " ".join(str(error).split())
    return (
        f"this checkpoint's config.json is none of {kind} ({reason}): "
        "pull the one that `yuyin models list` names"
    )


@contextmanager
def quietly() -> Iterator[Any]:
    """The library, imported without `UNUSED`, and without its progress bars and reports meanwhile."""
    with _hidden(UNUSED):
        try:
            import transformers
        except ModuleNotFoundError as error:
            raise NotInstalled(
                "exporting AST and BERT needs the package transformers, which is not here: "
                "pip install 'yuyin[train,paper]'"
            ) from error
        _forget_what_was_found(transformers)
        for name in ("ASTForAudioClassification", "BertForPreTraining"):  # these import all the rest
            getattr(transformers, name)
    logs: Any = transformers.utils.logging
    before, bars = logs.get_verbosity(), logs.is_progress_bar_enabled()
    logs.set_verbosity_error()
    logs.disable_progress_bar()
    try:
        yield transformers
    finally:
        logs.set_verbosity(before)
        if bars:
            logs.enable_progress_bar()


def _forget_what_was_found(transformers: Any) -> None:
    """The library remembers which packages there are, from whoever imported it first."""
    for name, each in vars(transformers.utils.import_utils).items():
        if name.startswith(tuple(f"is_{package}" for package in UNUSED)) and hasattr(each, "cache_clear"):
            each.cache_clear()


@contextmanager
def _hidden(packages: tuple[str, ...]) -> Iterator[None]:
    """Whoever looks for these packages meanwhile finds none."""
    known = {name: sys.modules.get(name) for name in packages}
    sys.modules.update(dict.fromkeys(packages))  # type: ignore[arg-type]  # None: "there is none", says Python
    try:
        yield
    finally:
        for name, module in known.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
