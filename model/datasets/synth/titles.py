"""A style, a mood and a random generator in; a believable title and an artist out."""

import numpy as np

ARTIST_OF: dict[str, str] = {
    "ambient": "YuYin Quiet Rooms",
    "folk": "YuYin Porch Trio",
    "lofi": "YuYin Late Study",
    "house": "YuYin Night Shift",
    "synthwave": "YuYin Neon Unit",
    "funk": "YuYin Rhythm Section",
    "rock": "YuYin Garage Four",
    "cinematic": "YuYin Demo Orchestra",
    "jazz": "YuYin Corner Quartet",
    "pop": "YuYin Demo Ensemble",
    "trap": "YuYin Low End",
    "latin": "YuYin Plaza Band",
}

_FIRST: dict[str, tuple[str, ...]] = {  # by quadrant of valence and arousal
    "bright lively": ("Golden", "Electric", "Sunlit", "Jumping", "Open", "Dazzling", "Racing", "First"),
    "bright calm": ("Gentle", "Quiet", "Honey", "Morning", "Paper", "Easy", "Early", "Soft"),
    "dark lively": ("Burning", "Restless", "Iron", "Midnight", "Falling", "Crimson", "Breaking", "Sharp"),
    "dark calm": ("Distant", "Hollow", "Silver", "Fading", "Winter", "Slow", "Grey", "Sleeping"),
}
_SECOND: dict[str, tuple[str, ...]] = {
    "ambient": ("Tides", "Clouds", "Lanterns", "Glacier", "Orbit", "Meadow", "Horizon"),
    "folk": ("Orchard", "River", "Footpath", "Letters", "Harvest", "Ferry", "Kitchen"),
    "lofi": ("Window Seat", "Rain", "Notebook", "Bus Stop", "Tea", "Corner Shop", "Sunday"),
    "house": ("Terrace", "Signals", "Rooftop", "Motion", "Last Train", "Strobe", "Pulse"),
    "synthwave": ("Overdrive", "Arcade", "Boulevard", "Skyline", "Chrome", "Turbine", "Coast"),
    "funk": ("Sidewalk", "Sneakers", "Roller Rink", "Handshake", "Corner", "Strut", "Soda"),
    "rock": ("Highway", "Matches", "Amplifier", "Rooftops", "Thunder", "Engine", "Stairwell"),
    "cinematic": ("Frontier", "Ascent", "Kingdom", "Armada", "Voyage", "Cathedral", "Dawn"),
    "jazz": ("Cafe", "Alley", "Espresso", "Side Street", "Nightcap", "Saxophone", "Umbrella"),
    "pop": ("Beginnings", "Launch", "Weekend", "Balloons", "Picnic", "Ideas", "Neighbours"),
    "trap": ("Concrete", "Elevator", "Streetlight", "Mirror", "Undertow", "Smoke", "Basement"),
    "latin": ("Plaza", "Mango", "Fiesta", "Terracotta", "Malecon", "Balcony", "Carnival"),
}
_MOODS: dict[str, tuple[str, ...]] = {
    "bright lively": ("happy", "energetic", "uplifting"),
    "bright calm": ("relaxed", "warm", "hopeful"),
    "dark lively": ("tense", "driving", "powerful"),
    "dark calm": ("melancholic", "thoughtful", "dreamy"),
}


def quadrant(valence: float, arousal: float) -> str:
    """Which quarter of the emotion plane: "bright" or "dark", "lively" or "calm"."""
    return f"{'bright' if valence >= 0 else 'dark'} {'lively' if arousal >= 0 else 'calm'}"


def moods(valence: float, arousal: float) -> tuple[str, ...]:
    """Two mood words, a third when both are strong."""
    return _MOODS[quadrant(valence, arousal)][: 3 if abs(valence) > 0.7 and abs(arousal) > 0.7 else 2]


def title(style: str, valence: float, arousal: float, rng: np.random.Generator) -> str:
    """Two words, such as "Golden Terrace"."""
    first, second = _FIRST[quadrant(valence, arousal)], _SECOND[style]
    return f"{first[int(rng.integers(len(first)))]} {second[int(rng.integers(len(second)))]}"
