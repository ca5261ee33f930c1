"""A sound in, when somebody speaks in it out: by a trained network where its file is at hand, else by signal.

The network is Silero VAD (github.com/snakers4/silero-vad, MIT licence); its ONNX file is never shipped with
YuYin, name yours with --vad or YUYIN_VAD. Sung words count as voice for neither of the two with any
certainty.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d
from scipy.signal import resample_poly

from model.artifact import sha256_of
from model.errors import BadOptions
from model.features.activity import Activity, logistic
from model.features.sound import Sound
from model.features.stems import HOP, TINY, LongSpectrum, along_pitch, along_time

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

SILERO_RATE_HZ = 16_000
SILERO_CHUNK, SILERO_CONTEXT = 512, 64  # samples: one probability each 32 ms, and what it is told of before
SILERO_STATE = (2, 1, 128)

SPEECH_HZ = (300.0, 4000.0)  # below, the overtones of a man's voice glide too little for the window to see
HELD_FRAMES, BROAD_BINS = 7, 9  # 0.33 s and 48 Hz
AROUND_FRAMES = 33  # 1.5 s: longer than the pauses within a phrase
FLOOR = 1e-6  # of the share
SILENT = 1e-12  # power of the band, full scale 1: of less there is no share
# Of the log share; logistic regression on sounds of our own renderer only: music with and without babble 0, 6
# and 12 dB above it, babble alone, noise. Judged on real music and speech (docs/log.md).
SLOPE, AT_ONE = 6.26, 7.14


class VoiceDetector(Protocol):
    """What hears a voice."""

    @property
    def name(self) -> str:
        """Part of the recipe of every feature that depends on it."""

    @property
    def version(self) -> int:
        """Raised when the same sound gives other probabilities."""

    def __call__(self, sound: Sound) -> Activity:
        """Voice over the whole of a sound."""


class FluctuationVoice:
    """A voice by what it does not do: hold a pitch.

    The evidence is the share of the power from 300 Hz to 4 kHz that median filtering with a long window calls
    percussive: the first stage of FitzGerald and Gainza 2010 (`model.features.stems`), with the squares of
    Wiener filtering. What older speech detectors build on, the energy of modulations at 4 Hz (Scheirer and
    Slaney 1997), was tried and fails under music (docs/log.md). Birds, whales and unaccompanied strings glide
    as well: some of them pass for a voice.
    """

    name = "fluctuation-voice"
    version = 1

    def __call__(self, sound: Sound) -> Activity:
        """Voice every 46 ms, from the 1.5 s around."""
        spectrum = LongSpectrum.of(sound)
        speech = (spectrum.hz >= SPEECH_HZ[0]) & (spectrum.hz < SPEECH_HZ[1])
        levels = np.abs(spectrum.bins[speech]).astype(np.float32)
        broad, held = along_pitch(levels, BROAD_BINS) ** 2, along_time(levels, HELD_FRAMES) ** 2
        gliding = ((levels * broad / (broad + held + TINY)) ** 2).sum(axis=0, dtype=np.float64)
        power = uniform_filter1d((levels**2).sum(axis=0, dtype=np.float64), AROUND_FRAMES, mode="nearest")
        moving = uniform_filter1d(gliding, AROUND_FRAMES, mode="nearest")
        share = moving / np.maximum(power, SILENT)
        return Activity(logistic(SLOPE * np.log(share + FLOOR) + AT_ONE), HOP / sound.rate_hz)


class SileroVoice:
    """Silero VAD, version 5 or later: a small recurrent network that knows speech from anything else."""

    version = 1

    def __init__(self, path: Path) -> None:
        """Load the network.

        Raises:
            BadOptions: if the file is not there, or is no such network.
        """
        self._path = path
        self._session = _silero_session(path)
        self.name = f"silero-voice-{sha256_of(path)[:8]}"  # its makers go on training it

    def __reduce__(self) -> tuple[type["SileroVoice"], tuple[Path]]:
        """Sessions cannot be sent to worker processes; their files can be named there."""
        return SileroVoice, (self._path,)

    def __call__(self, sound: Sound) -> Activity:
        """Voice every 32 ms."""
        samples = _at_16_khz(sound)
        chunks = -(-len(samples) // SILERO_CHUNK)
        padded = np.pad(samples, (SILERO_CONTEXT, chunks * SILERO_CHUNK - len(samples)))
        state = np.zeros(SILERO_STATE, np.float32)
        rate = np.array(SILERO_RATE_HZ, np.int64)
        found = np.zeros(chunks)
        for i in range(chunks):
            chunk = padded[None, i * SILERO_CHUNK : (i + 1) * SILERO_CHUNK + SILERO_CONTEXT]
            probability, state = self._session.run(None, {"input": chunk, "state": state, "sr": rate})
            found[i] = probability[0, 0]
        return Activity(found, SILERO_CHUNK / SILERO_RATE_HZ)


def voice_detector(path: Path | None) -> VoiceDetector:
    """Silero VAD from its file, or the signal's own evidence where no file is named."""
    return FluctuationVoice() if path is None else SileroVoice(path)


def _silero_session(path: Path) -> "InferenceSession":
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # processes, not threads, share the cores
    options.log_severity_level = 3
    unusable = (state.Fail, state.InvalidArgument, state.InvalidGraph, state.InvalidProtobuf)
    try:
        session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    except (OSError, *unusable) as error:
        raise BadOptions(
            f"{path} is no ONNX file that can be run ({error}): name that of Silero VAD, or leave --vad out"
        ) from error
    if [each.name for each in session.get_inputs()] != ["input", "state", "sr"]:
        raise BadOptions(f"{path} is another network than Silero VAD 5: name its file, or leave --vad out")
    return session


def _at_16_khz(sound: Sound) -> NDArray[np.float32]:
    if sound.rate_hz == SILERO_RATE_HZ:
        return sound.samples
    common = int(np.gcd(sound.rate_hz, SILERO_RATE_HZ))
    return np.asarray(
        resample_poly(sound.samples, SILERO_RATE_HZ // common, sound.rate_hz // common), np.float32
    )
