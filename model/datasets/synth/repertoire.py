"""The twelve styles, and a genre vector in, the nearest of them out."""

from model.datasets.synth.styles import Genre, Style


# fmt: off
def _styles() -> tuple[Style, ...]:
    return (
        Style(
            name="ambient", genres=("ambient", "electronic"), tempo_bpm=(60, 125),
            prototype=(0.6, -0.3, 1.8, -1.6, -0.2, -0.6), handicap=-0.27,
            major=("1 3 4 4", "4 1 6 5", "1 5 4 4", "1 4 6 4"),
            minor=("1 6 3 7", "1 3 6 7", "6 7 1 1", "1 4 6 7"),
            richness=4, loose_ms=9, final_hit=False,
            drums="ambient", fill="none", bass=("drone", "drone"), comp=("held", "halves"), arp="bells",
            lead="sparse",
            patches={
                "bass": ("sub_bass",), "chords": ("soft_piano", "electric_piano"),
                "pad": ("warm_pad", "choir_pad", "glass_pad"), "arp": ("bells", "harp", "soft_pluck"),
                "lead": ("bells", "soft_piano", "flute"),
            },
            levels_db={"pad": 5, "chords": 0, "lead": -2, "kick": -7, "hands": -4, "bass": -3},
            form={
                "intro": ("pad",), "verse": ("pad", "chords", "bass", "tune"),
                "build": ("light", "pad", "chords", "bass", "arp"), "break": ("pad", "arp"),
            },
        ),
        Style(
            name="folk", genres=("folk", "acoustic"), tempo_bpm=(72, 145),
            prototype=(-1.7, 0.5, -0.3, -0.9, -1.0, -0.1), handicap=0.37,
            major=("1 4 1 5", "1 5 6 4", "1 4 6 5", "6 4 1 5"),
            minor=("1 7 6 7", "1 3 7 4", "1 6 3 7", "1 4 7 3"),
            loose_ms=9, final_hit=False,
            drums="folk", fill="soft", bass=("halves", "folk"), comp=("halves", "strum"), arp="pick",
            patches={
                "bass": ("upright_bass",), "chords": ("steel_guitar",), "pad": ("strings",),
                "arp": ("nylon_guitar", "steel_guitar"), "lead": ("flute", "whistle", "violin"),
            },
            levels_db={"arp": 4, "pad": -3, "bass": -1},
            form={
                "intro": ("arp",), "verse": ("light", "arp", "bass", "tune"),
                "build": ("light", "arp", "bass", "chords"), "break": ("arp", "pad", "tune"),
            },
        ),
        Style(
            name="lofi", genres=("lo-fi", "hip hop"), tempo_bpm=(60, 120),
            prototype=(0.0, -1.7, 0.1, 0.2, 0.5, 1.3), handicap=0.24,
            major=("2 5 1 6", "4 3 2 1", "1 6 2 5", "4 5 3 6"),
            minor=("1 4 7 3", "6 7 1 1", "4 7 3 6", "1 6 4 5"),
            richness=5, swing=0.24, loose_ms=11, final_hit=False,
            drums="lofi", fill="soft", bass=("lofi", "lofi_busy"), comp=("laid_back", "lofi_busy"),
            arp="bells", lead="syncopated",
            patches={
                "bass": ("upright_bass", "sub_bass"), "chords": ("electric_piano", "soft_piano"),
                "pad": ("warm_pad",), "arp": ("vibes", "nylon_guitar"),
                "lead": ("vibes", "flute", "nylon_guitar", "sax"),
            },
            levels_db={"pad": -4, "cymbals": -1},
            form={
                "intro": ("chords",), "build": ("light", "bass", "chords", "arp"),
                "break": ("chords", "bass", "tune"),
            },
        ),
        Style(
            name="house", genres=("house", "electronic", "dance"), tempo_bpm=(88, 176),
            prototype=(1.3, 0.5, 0.0, 1.3, 1.1, -0.2), handicap=-0.42,
            major=("4 5 3 6", "1 6 4 5", "6 4 1 5", "4 1 5 6"),
            minor=("1 6 3 7", "1 3 4 6", "4 6 1 7", "6 7 1 3"),
            richness=4, swing=0.06, loose_ms=2, gate=0.6,
            drums="house", fill="claps", bass=("offbeat", "rolling"), comp=("offbeat", "stabs"),
            arp="updown", lead="syncopated",
            patches={
                "bass": ("synth_bass",), "chords": ("house_stab", "organ", "piano"),
                "pad": ("saw_pad", "warm_pad"), "arp": ("saw_pluck", "soft_pluck"),
                "lead": ("saw_lead", "soft_pluck", "square_lead"),
            },
            form={
                "intro": ("light", "pad"), "verse": ("light", "bass", "chords"),
                "break": ("pad", "arp", "tune"), "outro": ("light", "pad", "bass"),
            },
        ),
        Style(
            name="synthwave", genres=("synthwave", "electronic", "retro"), tempo_bpm=(70, 150),
            prototype=(1.6, 0.6, 1.1, 0.3, 0.2, -1.1), handicap=-0.34,
            major=("6 4 1 5", "1 5 6 4", "4 5 6 1", "1 3 4 5"),
            minor=("1 6 3 7", "1 7 6 7", "6 7 1 1", "1 4 6 7"),
            loose_ms=1.5,
            drums="synthwave", fill="toms", bass=("octaves", "pulse"), comp=("held", "held"),
            arp="sixteenths",
            patches={
                "bass": ("synth_bass",), "chords": ("saw_pad",), "pad": ("warm_pad", "glass_pad"),
                "arp": ("saw_pluck", "soft_pluck"), "lead": ("saw_lead", "square_lead"),
            },
            levels_db={"chords": -2, "arp": 2, "bass": 1},
            form={
                "intro": ("arp", "pad"), "verse": ("light", "bass", "chords", "tune"),
                "break": ("pad", "arp", "tune"),
            },
        ),
        Style(
            name="funk", genres=("funk", "soul"), tempo_bpm=(76, 152),
            prototype=(-0.4, 0.7, -1.3, 0.7, 0.9, 1.2), handicap=-0.44,
            major=("4 3 2 5", "1 2 4 5", "2 5 2 5", "1 6 2 5"),
            minor=("1 4 1 4", "1 4 7 3", "1 3 4 7", "1 7 4 4"),
            richness=4, swing=0.1, loose_ms=6, gate=0.45,
            drums="funk", bass=("slap", "funk"), comp=("chops", "scratch"), arp="muted",
            lead="syncopated",
            patches={
                "bass": ("slap_bass", "finger_bass"), "chords": ("clean_guitar", "electric_piano"),
                "pad": ("organ",), "arp": ("muted_guitar",), "lead": ("brass_stab", "sax", "trumpet"),
            },
            levels_db={"bass": 2, "pad": -5, "arp": -1},
            form={
                "intro": ("light", "arp"), "verse": ("full", "bass", "chords", "arp"),
                "build": ("light", "bass", "chords", "pad", "roll"), "break": ("light", "bass", "tune"),
                "outro": ("light", "bass", "chords"),
            },
        ),
        Style(
            name="rock", genres=("rock", "indie"), tempo_bpm=(84, 180),
            prototype=(-0.8, 0.9, -0.5, 1.6, -0.2, -1.1), handicap=0.05,
            major=("1 4 5 4", "1 5 6 4", "6 4 1 5", "1 4 1 5"),
            minor=("1 7 6 7", "1 6 3 7", "1 3 7 6", "6 7 1 1"),
            richness=2, loose_ms=6, gate=0.8,
            drums="rock", fill="toms", bass=("eighths", "rock"), comp=("chug", "chug"), arp="pick",
            lead="driving",
            patches={
                "bass": ("pick_bass",), "chords": ("drive_guitar",), "pad": ("organ",),
                "arp": ("clean_guitar",), "lead": ("drive_guitar", "clean_guitar"),
            },
            levels_db={"chords": 3, "pad": -5, "arp": -2},
            form={
                "intro": ("arp", "chords"), "build": ("full", "bass", "chords", "roll"),
                "main": ("full", "bass", "chords", "pad", "lead"), "break": ("arp", "bass", "tune"),
                "final": ("full", "bass", "chords", "pad", "lead", "counter"),
            },
        ),
        Style(
            name="cinematic", genres=("cinematic", "orchestral"), tempo_bpm=(66, 140),
            prototype=(-1.1, -0.7, 1.6, 0.1, 0.6, -1.1), handicap=0.13,
            major=("1 6 4 5", "6 4 1 5", "4 1 5 6", "1 3 4 5"),
            minor=("1 6 3 7", "1 6 4 V", "6 7 1 1", "1 3 6 7"),
            loose_ms=8, gate=0.7,
            drums="cinematic", fill="taiko", bass=("drone", "drone"), comp=("spiccato", "spiccato"),
            patches={
                "bass": ("low_strings",), "chords": ("spiccato",), "pad": ("strings",),
                "arp": ("harp", "pizzicato", "piano"), "lead": ("horns", "violin", "strings"),
            },
            levels_db={"pad": 3, "kick": 0, "chords": -1, "bass": -1},
            form={
                "intro": ("pad",), "verse": ("pad", "arp", "bass", "tune"),
                "build": ("light", "pad", "chords", "bass", "roll"), "break": ("arp", "tune", "pad"),
            },
        ),
        Style(
            name="jazz", genres=("jazz", "lounge"), tempo_bpm=(80, 180),
            prototype=(-1.3, -0.7, -0.3, -0.7, 0.3, 1.4), handicap=0.0,
            major=("2 5 1 6", "1 6 2 5", "3 6 2 5", "1 4 3 6"),
            minor=("1 4 7 3", "4 7 3 6", "1 6 4 V", "1 6 2 V"),
            richness=5, swing_steps=2, swing=0.28, loose_ms=9, gate=0.6, final_hit=False,
            drums="jazz", fill="none", bass=("two", "walk"), comp=("charleston", "jazz_busy"),
            arp="bells", lead="swung",
            patches={
                "bass": ("upright_bass",), "chords": ("piano", "nylon_guitar"), "pad": ("soft_piano",),
                "arp": ("vibes",), "lead": ("sax", "vibes", "trumpet", "piano"),
            },
            levels_db={"pad": -9, "arp": -4, "cymbals": 2, "bass": -1, "kick": -6, "snare": -5},
            form={
                "intro": ("chords", "bass"), "verse": ("light", "bass", "chords", "tune"),
                "build": ("full", "bass", "chords"), "main": ("full", "bass", "chords", "lead"),
                "break": ("light", "bass", "tune"), "final": ("full", "bass", "chords", "lead", "arp"),
            },
        ),
        Style(
            name="pop", genres=("pop", "corporate"), tempo_bpm=(80, 160),
            prototype=(0.4, 1.6, 0.3, -0.2, -0.9, -0.3), handicap=0.94,
            major=("1 5 6 4", "6 4 1 5", "4 1 5 6", "1 6 4 5"),
            minor=("1 6 3 7", "6 7 1 3", "1 3 7 6", "1 7 6 7"),
            loose_ms=4,
            drums="pop", fill="claps", comp=("quarters", "eighths"), arp="muted", lead="syncopated",
            patches={
                "bass": ("finger_bass", "synth_bass"), "chords": ("piano",),
                "pad": ("warm_pad", "strings"), "arp": ("muted_guitar", "marimba", "soft_pluck"),
                "lead": ("bells", "whistle", "soft_pluck", "marimba"),
            },
            levels_db={"arp": 3},
            form={
                "intro": ("arp", "pad"), "verse": ("light", "arp", "bass", "chords"),
                "break": ("pad", "chords", "tune"),
            },
        ),
        Style(
            name="trap", genres=("trap", "hip hop"), tempo_bpm=(100, 200),
            prototype=(1.1, -0.7, -0.2, 0.5, 1.6, 0.7), handicap=-0.27,
            major=("1 6 4 5", "4 5 6 3", "6 4 1 5", "1 3 4 4"),
            minor=("1 6 4 5", "1 1 6 7", "1 6 7 4", "1 4 6 7"),
            swing=0.03, loose_ms=2,
            drums="trap", fill="hats", bass=("long808", "trap808"), comp=("dark", "dark"), arp="bounce",
            lead="plucked",
            patches={
                "bass": ("bass_808",), "chords": ("electric_piano", "soft_piano", "bells"),
                "pad": ("choir_pad", "warm_pad"), "arp": ("soft_pluck", "marimba", "bells"),
                "lead": ("bells", "flute", "square_lead", "soft_pluck"),
            },
            levels_db={"bass": 2.5, "cymbals": 1, "chords": -1},
            form={
                "intro": ("chords", "arp"), "verse": ("full", "bass", "chords"),
                "build": ("light", "pad", "chords", "arp", "roll"), "break": ("chords", "pad", "tune"),
            },
        ),
        Style(
            name="latin", genres=("latin", "world"), tempo_bpm=(78, 160),
            prototype=(-0.9, 0.9, -0.4, 0.8, -0.5, 1.3), handicap=0.01,
            major=("1 4 5 4", "1 6 2 5", "1 4 2 5", "1 5 4 5"),
            minor=("1 7 6 V", "1 4 V 1", "1 4 7 3", "1 6 4 V"),
            loose_ms=7, gate=0.6,
            drums="latin", fill="hand", bass=("tumbao", "son"), comp=("bossa", "montuno"), arp="pick",
            lead="syncopated",
            patches={
                "bass": ("upright_bass", "finger_bass"), "chords": ("piano", "nylon_guitar"),
                "pad": ("strings",), "arp": ("nylon_guitar", "marimba"),
                "lead": ("trumpet", "flute", "nylon_guitar"),
            },
            levels_db={"hands": 3, "pad": -5, "snare": -2},
            form={
                "intro": ("light", "chords"), "verse": ("light", "bass", "chords", "tune"),
                "build": ("full", "bass", "chords", "roll"),
                "main": ("full", "bass", "chords", "lead", "pad"), "break": ("arp", "bass", "tune"),
            },
        ),
    )
# fmt: on


STYLES: dict[str, Style] = {style.name: style for style in _styles()}


def style_of(genre: Genre) -> Style:
    """The style whose prototype is nearest, after handicaps: the cells of a power diagram of genre space."""
    return min(
        STYLES.values(),
        key=lambda style: (
            sum((a - b) ** 2 for a, b in zip(style.prototype, genre, strict=True)) + style.handicap
        ),
    )
