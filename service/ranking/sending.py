"""A video and a server's recipe in, the JSON body that asks without the video out, on any machine."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from model.backbones.loaded import Backbones
from model.errors import Mismatch
from model.features.extractors import Profile, identity
from model.features.profiles import load_profile
from model.media.child import Decoder
from model.media.streams import VideoLimits
from service.ranking.recommender import see
from service.schemas.features import sent_features


def profile_for(name: str, recipe: Mapping[str, Any], backbones: Backbones) -> Profile:
    """The extractors of a video, which have to be the server's own.

    Args:
        name: of the profile, as GET /version or bundle.json says.
        recipe: likewise.
        backbones: of this machine, in the recipe's precision.

    Raises:
        Mismatch: if this version, or the weights here, make other features.
        NotInstalled: if the weights are not here.
    """
    profile = load_profile(name, backbones, inputs=load_profile(name).video)
    here = _recipe(profile)
    there = {part: recipe.get(part) for part in ("video", "precision")}
    theirs = {name: recipe.get("extractors", {}).get(name) for name in here["extractors"]}
    if here != {**there, "extractors": theirs}:
        raise Mismatch(
            f"this machine would make other features ({here['extractors']}) than are read there ({theirs}): "
            "install the version of YuYin that runs there, and its pretrained weights"
        )
    return profile


def _recipe(profile: Profile) -> dict[str, Any]:
    made_by = {name: identity(extractor) for name, extractor in profile.video.items()}
    return {"video": asdict(profile.recipe), "extractors": made_by, "precision": profile.precision}


def body_of(
    video: Path, profile: Profile, *, start_s: float | None = None, end_s: float | None = None
) -> dict[str, Any]:
    """What POST /recommend takes in the place of the video; `options` may be added.

    Raises:
        MediaError: by what is wrong with the file.
        BadOptions: if the part is empty.
    """
    with Decoder(VideoLimits()) as decoder:
        picture = see(profile, decoder.read_video(video, profile.recipe, start_s=start_s, end_s=end_s))
    return {
        "features": {name: sent_features(rows) for name, rows in picture.sequences.items()},
        "recipe": _recipe(profile),
        "duration_s": picture.length_s,
        "cuts_s": picture.cuts_s,
    }
