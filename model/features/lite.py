"""The `lite` profile: numpy and scipy only, nothing to download, no licence to buy."""

from model.features.audio import LiteAudio
from model.features.emotion import LiteMood
from model.features.extractors import Profile
from model.features.frames import LiteFrames
from model.features.motion import LiteMotion
from model.features.text import LiteText
from model.media.streams import VideoRecipe


def profile() -> Profile:
    """The row of design section 4 that runs on a bare machine."""
    return Profile(
        name="lite",
        recipe=VideoRecipe(),
        video={"frames": LiteFrames(), "motion": LiteMotion()},
        music={"audio": LiteAudio(), "emotion": LiteMood()},
        text=LiteText(),
    )
