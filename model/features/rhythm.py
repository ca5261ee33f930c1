"""A track and spans of its time in, the rhythm of each span out: what both music extractors say of it."""

import numpy as np
from numpy.typing import NDArray

from model.features.column import Column
from model.features.onsets import BANDS, percussive_power
from model.features.pulse import HARMONICS, blurred, pulse_of
from model.features.sound import Sound
from model.features.spans import Spans
from model.features.spectrum import FRAMES_PER_S, SILENCE

SUPERFLUX = "Boeck and Widmer 2013, SuperFlux"
WAVES = tuple(f"tempo_{f}{k}" for k in range(1, HARMONICS + 1) for f in ("cos", "sin"))

COLUMNS = (
    Column("rise_root", "root of the mean rise of the spectrum", "dB^0.5", (0, 6), SUPERFLUX),
    *(
        Column(f"rise_{name}_root", f"root of the mean rise of the {name} bands", "dB^0.5", (0, 7), SUPERFLUX)
        for name, _, _ in BANDS
    ),
    Column("onset_rate_log2", "log2(1 + onsets per second)", "octave", (0, 4), "Boeck et al. 2012"),
    Column("struck_root", "root of the share of percussive power", "1", (0, 1), "FitzGerald 2010"),
    Column("pulse_clarity", "greatest autocorrelation of onsets", "1", (0, 1), "Lartillot et al. 2008"),
    Column("tempo_oct", "log2 of the likeliest tempo / 120 bpm", "octave", (-1.6, 1), "Moelants 2002"),
    *(
        Column(
            wave,
            f"{wave[6:9]}(2 pi {wave[9]} log2(bpm / 120)) times clarity",
            "1",
            (-1, 1),
            "Kurth et al. 2006",
        )
        for wave in WAVES
    ),
)


def rhythm(sound: Sound, fast: Spans, near: Spans, beats: Spans) -> dict[str, NDArray[np.float64]]:
    """Column -> (n,) for spans of 20 ms frames; onsets count over `near`, tempo is judged over `beats`."""
    onsets, spectrum = sound.onsets, sound.spectrum
    pulse = pulse_of(*beats.gather(blurred(onsets.rise_db)))
    bands, circle = np.sqrt(fast.mean(onsets.band_rise_db)), pulse.circle
    struck = fast.mean(percussive_power(spectrum)) / (fast.mean(spectrum.power) + SILENCE)
    found = {f"rise_{name}_root": bands[:, k] for k, (name, _, _) in enumerate(BANDS)}
    found |= {wave: circle[:, k] for k, wave in enumerate(WAVES)}
    return found | {
        "rise_root": np.sqrt(fast.mean(onsets.rise_db)),
        "onset_rate_log2": np.log2(1 + FRAMES_PER_S * near.mean(onsets.picked.astype(np.float64))),
        "struck_root": np.sqrt(struck),
        "pulse_clarity": pulse.clarity,
        "tempo_oct": np.log2(pulse.bpm / 120),
    }
