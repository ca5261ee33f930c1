"""What a caller sent in the place of a video in, what the ranking takes out, if it is of the same kind."""

from collections.abc import Mapping
from itertools import pairwise

from model.bundle import Bundle
from model.errors import BadOptions, InputError
from model.media.child import Decoder
from model.media.streams import VideoStreams
from service.ranking.recommender import Picture
from service.schemas.features import SentFeatures, SentRecipe
from service.schemas.question import Question
from service.serving.current import Serving


class ForeignRecipe(InputError):
    """Features that were made otherwise than those that the bundle was trained with."""

    code = "mismatch"


def picture_of(bundle: Bundle, question: Question) -> Picture:
    """The features of a question; those that the bundle's video tower does not read are left out.

    Raises:
        ForeignRecipe: if they were made otherwise than the bundle's.
        BadOptions: if one is missing, unknown, or of another shape.
    """
    assert question.features is not None
    assert question.recipe is not None
    assert question.duration_s is not None
    _check_recipe(bundle, question.recipe)
    _check_names(bundle, question.features)
    widths = bundle.towers.video.widths
    sequences = {name: question.features[name].sequence(name, width) for name, width in widths.items()}
    cuts_s = None if question.cuts_s is None else [round(t, 6) for t in question.cuts_s]
    return Picture(sequences, question.duration_s, cuts_s)


def _check_recipe(bundle: Bundle, sent: SentRecipe) -> None:
    mine = bundle.recipe
    pairs = {f"video.{name}": (value, sent.video.get(name)) for name, value in mine["video"].items()}
    for name in bundle.input_names["video"]:
        pairs[f"extractors.{name}"] = (mine["extractors"][name], sent.extractors.get(name))
    pairs["precision"] = (mine.get("precision"), sent.precision)
    wrong = [
        f"{name} is {theirs!r}, not {ours!r}" for name, (ours, theirs) in pairs.items() if ours != theirs
    ]
    if wrong:
        raise ForeignRecipe(
            f"these features were made otherwise than those of bundle {bundle.id} ({'; '.join(wrong)}): "
            "compute them again by the recipe of GET /version, with the version of YuYin that runs here"
        )


def _check_names(bundle: Bundle, sent: Mapping[str, SentFeatures]) -> None:
    read = bundle.input_names["video"]
    if missing := sorted(set(read) - set(sent)):
        raise BadOptions(f"'features': {missing} are missing, the bundle reads {sorted(read)}")
    if unknown := sorted(set(sent) - set(bundle.recipe["extractors"])):
        raise BadOptions(f"'features': {unknown} are unknown, the bundle reads {sorted(read)}")


def streams_of(serving: Serving, decoder: Decoder, question: Question) -> VideoStreams:
    """The pictures of a question as the frames of a video, decoded in the child that videos are decoded in.

    Raises:
        BadOptions: if the bundle looks at motion too, which pictures do not show; or the times go back.
        MediaError: by what is wrong with a picture.
    """
    assert question.frames is not None
    assert question.duration_s is not None
    if serving.profile.recipe.motion:
        raise BadOptions(
            f"'frames': the bundle in force (profile {serving.profile.name}) was trained on how every frame "
            "moves, which single pictures do not show: send the video, or features (`yuyin features video`)"
        )
    times_s = [frame.t_s for frame in question.frames]
    if any(later <= earlier for earlier, later in pairwise(times_s)):
        raise BadOptions("'frames': every t_s has to be larger than the one before it")
    if times_s[-1] >= question.duration_s:
        raise BadOptions("'frames': the last t_s lies behind duration_s: give the length of the whole video")
    options = question.options
    return decoder.read_pictures(
        [frame.data(number) for number, frame in enumerate(question.frames)],
        times_s,
        question.duration_s,
        serving.profile.recipe,
        start_s=options.start_s,
        end_s=options.end_s,
    )
