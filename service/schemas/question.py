"""POST /recommend with a JSON body: pictures, features or an earlier upload, and the options."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field, ValidationError, model_validator

from model.errors import BadOptions
from service.errors import explain
from service.schemas.asked import Asked, Seconds
from service.schemas.features import SentFeatures, SentRecipe
from service.schemas.frames import MAX_FRAMES, SentFrame
from service.schemas.options import Options

UploadId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Frames = Annotated[tuple[SentFrame, ...], Field(min_length=1, max_length=MAX_FRAMES, fail_fast=True)]
Cuts = Annotated[tuple[Seconds, ...], Field(max_length=100_000, fail_fast=True)]
MAX_WORDS = 4000  # characters
MAX_FAULTS = 20  # that are worth a word each; a hostile body may have millions
KINDS = ("frames", "features", "upload_id")

_ROWS = "AACAPwAAAEAAAEBA..."
_RECIPE = {"video": {"frames_per_s": 1.0}, "extractors": {"frames": "lite-frames@1"}}
EXAMPLES: dict[str, Any] = {
    "an earlier upload": {"upload_id": "0" * 32, "options": {"top_k": 5, "start_s": 2.0}},
    "features, as `yuyin features video` writes them": {
        "features": {"frames": {"times_s": [0.0, 1.0], "rows": _ROWS}},
        "recipe": _RECIPE,
        "duration_s": 15.0,
    },
    "pictures, for a bundle of the profile paper": {
        "frames": [{"t_s": 0.0, "image": "/9j/4AAQSkZJRg..."}],
        "duration_s": 15.0,
    },
}


class Question(Asked):
    """What to find music for: exactly one of `frames`, `features` and `upload_id`."""

    model_config = ConfigDict(json_schema_extra={"examples": list(EXAMPLES.values())})

    upload_id: UploadId | None = Field(default=None, description="From POST /v1/uploads.")
    frames: Frames | None = Field(
        default=None,
        description="Pictures of the video, taken as its frames: those nearest to the bundle's own rate are "
        "looked at. Only for bundles that do not look at motion; others refuse them.",
    )
    features: dict[str, SentFeatures] | None = Field(
        default=None,
        max_length=16,
        description="By input of the bundle's video tower. `yuyin features video` computes them.",
    )
    recipe: SentRecipe | None = Field(
        default=None, description="How the features were made; refused unless the bundle's are made so."
    )
    duration_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        default=None, description="Length of the picture that frames or features are of, in seconds."
    )
    cuts_s: Cuts | None = Field(
        default=None, description="Cut times that came out beside the features; repeated in the answer."
    )
    options: Options = Field(default=Options(), description="As with a video.")

    @model_validator(mode="after")
    def _one_kind(self) -> "Question":
        given = [name for name in KINDS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"send exactly one of {', '.join(KINDS)}, not {given or 'none'}")
        if given != ["upload_id"] and self.duration_s is None:
            raise ValueError("duration_s is missing: say how long the picture is")
        if given != ["features"] and (self.recipe is not None or self.cuts_s is not None):
            raise ValueError("recipe and cuts_s go with features only")
        return self

    @model_validator(mode="after")
    def _fits_kind(self) -> "Question":
        if self.upload_id is not None and self.duration_s is not None:
            raise ValueError("duration_s is the upload's own: leave it out, or choose a part by options")
        if self.features is not None and self.recipe is None:
            raise ValueError("recipe is missing: say how the features were made, as GET /version does")
        if self.features is not None and (self.options.start_s, self.options.end_s) != (None, None):
            raise ValueError("start_s and end_s choose from a video: compute the features of that part")
        return self

    @classmethod
    def parse(cls, data: bytes, *, top_k_max: int) -> "Question":
        """The question of a request; raises `BadOptions` that names every field at fault."""
        try:
            question = cls.model_validate_json(data)
        except ValidationError as error:
            few = error.error_count() <= MAX_FAULTS
            faults = explain(error.errors(include_url=False)) if few else f"{error.error_count()} faults"
            raise BadOptions(f"{faults[:MAX_WORDS]}; /docs has examples of JSON bodies") from None
        question.options.check(top_k_max)
        return question
