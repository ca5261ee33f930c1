"""Landmarks of clips that are and are not of one recording."""

import numpy as np
import pytest

from model.features.landmarks import Landmarks, find_landmarks, likeness
from model.features.spectrum import RATE_HZ
from model.media.audio import read_audio
from model.media.encode import write_audio

RNG = np.random.default_rng(12)
CLIP = 12 * RATE_HZ


def test_two_notes_are_a_landmark_of_their_pitches_and_distance(sound):
    t = np.arange(RATE_HZ // 25) / RATE_HZ
    x = np.zeros(2 * RATE_HZ)
    for at_s, hz in ((0.5, 1000.0), (1.0, 1500.0)):
        start = round(at_s * RATE_HZ)
        x[start : start + len(t)] = 0.3 * np.hanning(len(t)) * np.sin(2 * np.pi * hz * t)
    found = find_landmarks(sound(x))
    bins = RATE_HZ / 2048
    low, up, later = found.hashes >> 14, (found.hashes >> 7 & 127).astype(int) - 63, found.hashes & 127
    expected = (np.abs(low * bins - 1000) < 1.5 * bins) & (np.abs(up * bins - 500) < 2.5 * bins)
    assert (expected & (np.abs(later.astype(int) - 25) <= 1)).any()
    assert np.abs(found.frames[expected] - 26).min() <= 1


@pytest.mark.parametrize("samples", [0, 1, 4000, 30_000])
def test_silence_has_none(sound, samples):
    found = find_landmarks(sound(np.zeros(samples)))
    assert len(found.hashes) == len(found.frames) == 0
    assert likeness(found, found).share == 0


def slow_likeness(one, two):
    """By dictionaries: (share, cover) at the best offset, those a frame apart being one."""
    votes = {}
    for h, f in zip(one.hashes.tolist(), one.frames.tolist(), strict=True):
        for g, e in zip(two.hashes.tolist(), two.frames.tolist(), strict=True):
            if h == g:
                for near in (-1, 0, 1):
                    votes.setdefault(e - f + near, []).append((e - f, h, f))
    least = min(len(set(one.hashes.tolist())), len(set(two.hashes.tolist())))
    best = max(len({vote[:2] for vote in found}) for found in votes.values())
    covers = [
        len({f // 50 for *_, f in found})
        for found in votes.values()
        if len({vote[:2] for vote in found}) == best
    ]
    seconds = min(len({f // 50 for f in x.frames.tolist()}) for x in (one, two))
    return best / least, {min(1.0, cover / seconds) for cover in covers}


@pytest.mark.parametrize(("n", "m"), [(1, 1), (5, 40), (60, 60)])
def test_likeness_is_its_definition(n, m):
    def some(k):
        return Landmarks(
            RNG.integers(0, 12, k).astype(np.uint32), np.sort(RNG.integers(0, 400, k)).astype(np.int32)
        )

    one, two = some(n), some(m)
    two = Landmarks(np.append(two.hashes, one.hashes[0]), np.append(two.frames, np.int32(400)))
    found, (share, covers) = likeness(one, two), slow_likeness(one, two)
    assert found.share == pytest.approx(share)
    assert any(found.cover == pytest.approx(cover) for cover in covers)
    assert found.lead >= 1


@pytest.mark.parametrize("style", ["ambient", "rock", "trap"])
def test_a_clip_is_known_again_whatever_was_done_to_it(sound, tracks, talk, over, style, tmp_path):
    track = tracks[style]
    clip = find_landmarks(sound(track[:CLIP]))
    later = track[2 * RATE_HZ + 313 : 2 * RATE_HZ + 313 + CLIP]
    write_audio(tmp_path / "clip.m4a", later, RATE_HZ, codec="aac", bit_rate=64_000)
    coded = read_audio(tmp_path / "clip.m4a", RATE_HZ)
    for x, least in ((0.1 * track[:CLIP], 0.9), (later, 0.2), (coded, 0.1), (over(later, talk, 9), 0.02)):
        found = likeness(clip, find_landmarks(sound(x)))
        assert found.share > least
        assert found.cover > 0.5


def test_other_music_has_little_in_common(sound, tracks):
    marks = [find_landmarks(sound(track)) for track in tracks.values()]
    shares = [likeness(marks[i], marks[j]).share for i in range(len(marks)) for j in range(i)]
    assert max(shares) < 0.01


def test_a_jingle_covers_little(sound, tracks):
    jingle = tracks["jazz"][: 2 * RATE_HZ]
    one, two = (np.concatenate([tracks[style][:CLIP], jingle]) for style in ("folk", "house"))
    found = likeness(find_landmarks(sound(one)), find_landmarks(sound(two)))
    assert found.share > 0.03
    assert found.cover < 0.25


def test_drums_that_repeat_have_no_lead(sound):
    bar = np.zeros(2 * RATE_HZ)
    for k in range(4):
        hit = RNG.standard_normal(2000) * np.exp(-np.arange(2000) / 400)
        bar[k * RATE_HZ // 2 :][:2000] += 0.3 * hit
    loop = np.tile(bar, 6)
    found = likeness(find_landmarks(sound(loop)), find_landmarks(sound(loop)))
    assert found.share > 0.9
    assert found.lead < 1.2
