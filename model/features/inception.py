"""A decoded picture in, Inception v3's 2,048 pooled features of each of its frames out."""

from model.backbones.catalogue import INCEPTION
from model.features.pixels import pixels
from model.features.pretrained import Pretrained
from model.features.sequence import Sequence
from model.media.streams import VideoStreams

BATCH = 16  # frames: 17 MB, and no CPU gains by more


class InceptionFrames(Pretrained):
    """What the last pooling of Inception v3 (Szegedy et al. 2016, section 6) says of each frame."""

    spec = INCEPTION

    def __call__(self, video: VideoStreams) -> Sequence:
        """(t, 2048) at the frames' times; raises `NotInstalled` without a network."""
        batches = (pixels(video.frames[at : at + BATCH]) for at in range(0, len(video.frames), BATCH))
        return Sequence(self.vectors(batches), video.frame_times_s)
