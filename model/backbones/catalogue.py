"""A backbone's name in, what is fixed about it out: width, input, preprocessing, source, licence.

Nothing here is read from a download: a checkpoint that does not fit these numbers is refused.
"""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from model.errors import BadOptions

Precision = Literal["fp32", "fp16", "int8"]
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8")


@dataclass(frozen=True, slots=True)
class Source:
    """A repository on Hugging Face, and the files of it that are wanted."""

    repo: str
    revision: str  # a commit where many name it; else a branch, which the first pull resolves and pins
    files: tuple[str, ...]
    licence: str
    about: str  # one line on what the licence and the training data mean for who uses it


@dataclass(frozen=True, slots=True)
class BackboneSpec:
    """One frozen network of docs/models.md section 1."""

    name: str
    version: int  # of our pre- and post-processing: raised when the same checkpoint gives other numbers
    width: int  # d of what it gives
    input_shape: tuple[int, ...]  # of one item
    input_dtype: Literal["float32", "int64"]
    preprocessing: dict[str, Any] = field(hash=False)
    source: Source
    source_paper: str

    @property
    def sees_pictures(self) -> bool:
        """Whose int8 reads its ranges off real frames."""
        return len(self.input_shape) == 3

    @property
    def reads_text(self) -> bool:
        """Stays fp32: a handful of tags is embedded once, so that fewer bits gain nothing."""
        return self.input_dtype == "int64"

    def described(self) -> dict[str, Any]:
        """What goes into backbone.json and into the graph's metadata."""
        facts = asdict(self)
        return {
            key: facts[key]
            for key in ("name", "version", "width", "input_shape", "input_dtype", "preprocessing")
        }


INCEPTION = BackboneSpec(
    name="inception-v3",
    version=1,
    width=2048,
    input_shape=(3, 299, 299),
    input_dtype="float32",
    preprocessing={
        "side_px": 299,
        "crop": "centre",
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
        "range": [0.0, 1.0],
        "channels": "RGB",
    },
    source=Source(
        repo="timm/inception_v3.tv_in1k",
        revision="main",
        files=("config.json", "model.safetensors"),
        licence="apache-2.0",
        about="weights of torchvision, trained on ImageNet-1k, whose images are for research",
    ),
    source_paper="Szegedy et al. 2016, Rethinking the Inception Architecture, section 6",
)

AST = BackboneSpec(
    name="ast",
    version=1,
    width=768,
    input_shape=(1024, 128),
    input_dtype="float32",
    preprocessing={
        "rate_hz": 16_000,
        "mel_bands": 128,
        "frame_ms": 25,
        "shift_ms": 10,
        "frames": 1024,
        "mean": -4.2677393,
        "std": 4.5689974,
        "divide_by": 2.0,
    },
    source=Source(
        repo="MIT/ast-finetuned-audioset-10-10-0.4593",
        revision="f826b80d28226b62986cc218e5cec390b1096902",
        files=("config.json", "model.safetensors", "preprocessor_config.json"),
        licence="bsd-3-clause",
        about="trained on AudioSet, whose clips are YouTube's",
    ),
    source_paper="Gong et al. 2021, AST: Audio Spectrogram Transformer, section 2",
)

BERT = BackboneSpec(
    name="chinese-bert-wwm",
    version=1,
    width=768,
    input_shape=(64,),
    input_dtype="int64",
    preprocessing={
        "tokens": 64,
        "vocabulary": 21_128,
        "lowercase": True,
        "pool": "mean of the last hidden layer without [CLS] and [SEP]",
    },
    source=Source(
        repo="hfl/chinese-bert-wwm",
        revision="main",  # the commit that many name, ab0aa81d, has no safetensors: see model.hub.remote
        files=("config.json", "model.safetensors", "vocab.txt"),
        licence="apache-2.0",
        about="trained on Chinese Wikipedia",
    ),
    source_paper="Cui et al. 2021, Pre-Training with Whole Word Masking for Chinese BERT",
)

BACKBONES = {spec.name: spec for spec in (INCEPTION, AST, BERT)}
OF_PROFILE = {"paper": (INCEPTION.name, AST.name, BERT.name)}


def spec_of(name: str) -> BackboneSpec:
    """The backbone called `name`; raises `BadOptions` with the list of names for an unknown one."""
    if name not in BACKBONES:
        raise BadOptions(f"unknown backbone {name!r}: this version knows {', '.join(BACKBONES)}")
    return BACKBONES[name]
