import pickle

import numpy as np
import pytest

from model.errors import Mismatch, NotInstalled
from model.features.inception import InceptionFrames
from model.features.pixels import pixels
from model.media.streams import VideoInfo, VideoStreams

WIDTH = 2048


def video(count: int, height: int = 299, width: int = 310) -> VideoStreams:
    frames = np.random.default_rng(count).integers(0, 256, (count, height, width, 3), np.uint8)
    info = VideoInfo(float(count), width, height, 25.0, 0, "h264")
    times_s = np.arange(count, dtype=np.float64) * 1.01
    return VideoStreams(frames, times_s, np.empty((0, 0, 0), np.uint8), np.empty(0), 0.0, float(count), info)


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 32, 37])
def test_every_frame_has_its_vector_and_no_batch_is_large(projection, count):
    network, seen = projection(WIDTH), video(count)
    found = InceptionFrames(network)(seen)
    assert found.values.shape == (count, WIDTH)
    assert found.values.dtype == np.float32
    assert found.times_s.tolist() == seen.frame_times_s.tolist()
    assert network.items == count
    assert all(batch.shape[1:] == (3, 299, 299) for batch in network.batches)
    assert all(batch.dtype == np.float32 for batch in network.batches)
    assert max(map(len, network.batches), default=0) <= 16
    expected = [network(pixels(seen.frames[i : i + 1]))[0] for i in range(count)]
    assert np.array_equal(found.values, np.array(expected, np.float32).reshape(-1, WIDTH))


def test_frames_that_the_media_layer_did_not_scale_are_scaled(projection):
    seen = video(3, 120, 90)
    found = InceptionFrames(projection(WIDTH))(seen)
    assert np.array_equal(found.values, projection(WIDTH)(pixels(seen.frames)))


def test_without_a_network_it_is_described_but_cannot_be_called():
    extractor = InceptionFrames()
    assert (extractor.name, extractor.version) == ("inception-v3", 1)
    assert len(set(extractor.features)) == WIDTH
    for count in (0, 2):
        with pytest.raises(NotInstalled, match="yuyin models pull paper"):
            extractor(video(count))


def test_a_network_of_another_width_is_refused(projection):
    with pytest.raises(Mismatch, match=r"\(2, 1000\) for 2 inputs, not \(2, 2048\)"):
        InceptionFrames(projection(1000))(video(2))


def test_it_travels_to_another_process(projection):
    there = pickle.loads(pickle.dumps(InceptionFrames(projection(WIDTH), "9f0c12ab77")))
    assert there.weights == "9f0c12ab77"
    assert np.array_equal(there(video(2)).values, InceptionFrames(projection(WIDTH))(video(2)).values)
