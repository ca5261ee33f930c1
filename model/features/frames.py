"""The sampled RGB frames of a video in, one row of light, colour and texture a frame out (`lite-frames`)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.features.area import area_mean, working_size
from model.features.colour import colourfulness, hue_measures, lab_measures, light_measures, luma, saturation
from model.features.column import Column, names, stack
from model.features.sequence import Sequence
from model.features.texture import (
    PLACES,
    centre_measures,
    detail_measures,
    edge_measures,
    gradients,
    layout_measures,
    symmetry_measures,
)
from model.media.streams import VideoStreams

BLOCK = 32  # frames measured at a time: bounds the memory of a 10 min video
CELLS = 2304  # 64 x 36 on a 16:9 picture: below half of the 160 px that the recipe decodes
UNIT, SIGNED = (0.0, 1.0), (-1.0, 1.0)
BT709, CIELAB = "ITU-R BT.709-6, luma", "CIE 15:2018, 8.2.1"
HSV, HUE = "Smith 1978, HSV; damped in the dark", "Hanbury & Serra 2003; weighted by saturation"
PYRAMID, EDGES = "Burt & Adelson 1983, section 3", "Freeman & Roth 1995, orientation histograms"
CENTRE = "centre-surround contrast: Itti, Koch & Niebur 1998"
LAYOUT = "own; 3x3 grid of Datta et al. 2006"
GREY = "doublings above one grey level"

LIGHT_COLUMNS = (
    Column("luma_p05", "5th percentile of luma: the shadows", "full scale", UNIT, BT709),
    Column("luma_p25", "25th percentile of luma", "full scale", UNIT, BT709),
    Column("luma_p50", "median luma", "full scale", UNIT, BT709),
    Column("luma_p75", "75th percentile of luma", "full scale", UNIT, BT709),
    Column("luma_p95", "95th percentile of luma: the lights", "full scale", UNIT, BT709),
    Column("luma_std", "RMS contrast", "full scale", (0.0, 0.5), "Peli 1990"),
    Column("dark_share", "share of dark area, falling to 0 at luma .35", "share", UNIT, "own"),
    Column("bright_share", "share of bright area, rising from 0 at luma .65", "share", UNIT, "own"),
    Column("lab_l_mean", "mean lightness L*", "L*/100", UNIT, CIELAB),
)
COLOUR_COLUMNS = (
    Column("lab_a_mean", "mean a*: green to red", "a*/100", (-0.9, 1.0), CIELAB),
    Column("lab_b_mean", "mean b*: blue to yellow", "b*/100", (-1.1, 1.0), CIELAB),
    Column("lab_a_std", "root of the spread of a*", "(a*/100)^.5", UNIT, CIELAB),
    Column("lab_b_std", "root of the spread of b*", "(b*/100)^.5", (0.0, 1.05), CIELAB),
    Column("chroma_p90", "root of the 90th percentile of chroma C*", "(C*/100)^.5", (0.0, 1.2), CIELAB),
    Column("saturation_mean", "root of the mean saturation", "root of share", UNIT, HSV),
    Column("saturation_p90", "90th percentile of saturation", "share", UNIT, HSV),
    Column("colourfulness", "root of M(3)", "root of full scale", (0.0, 1.2), "Hasler & Suesstrunk 2003, 7"),
    Column("warmth", "saturation towards orange less that towards azure", "share", SIGNED, "own; Itten 1961"),
    Column(
        "red_blue", "mean red over mean blue, each + .1", "octaves", (-3.5, 3.5), "own; colour temperature"
    ),
    Column("hue_variety", "entropy of the hue shares, times their sum", "share of log 12", UNIT, HUE),
    *(
        Column(
            f"hue_{degrees:03d}",
            f"share s of hues near {degrees} degrees as (s + .01)^.5 - .1",
            "root of share",
            UNIT,
            HUE,
        )
        for degrees in range(0, 360, 30)
    ),
)
TEXTURE_COLUMNS = (
    Column("edge_density", "mean slope of luma between cells of 1/64 width", GREY, (0.0, 8.0), EDGES),
    Column(
        "edge_strong_share",
        "root of the share of clear outlines, slope .06 to .12",
        "root of share",
        UNIT,
        "own",
    ),
    Column("edge_flat_share", "share of plain area, slope below .03", "share", UNIT, "own"),
    Column("edge_evenness", "entropy of edges over the 3x3 grid", "share of log 9", UNIT, LAYOUT),
    Column("edge_vertical", "share of upright edges", "share", UNIT, EDGES),
    Column("edge_horizontal", "share of level edges", "share", UNIT, EDGES),
    Column("edge_rising", "share of edges that run like /; mirror: falling", "share", UNIT, EDGES),
    Column("edge_falling", "share of edges that run like \\; mirror: rising", "share", UNIT, EDGES),
    *(
        Column(
            f"detail_{i + 1}",
            f"RMS of band {i + 1}: structures of {2**i}/64 width",
            GREY,
            (0.0, 8.0),
            PYRAMID,
        )
        for i in range(4)
    ),
    Column("symmetry_left_right", "correlation with the mirror image", "correlation", SIGNED, "own"),
    Column("symmetry_top_bottom", "correlation with the picture upside down", "correlation", SIGNED, "own"),
)
LAYOUT_COLUMNS = (
    *(Column(f"light_{at}", f"luma {at} less the mean", "full scale", SIGNED, LAYOUT) for at in PLACES),
    *(Column(f"colour_{at}", f"saturation {at} less the mean", "share", SIGNED, LAYOUT) for at in PLACES),
    Column("centre_light", "luma in the middle less the mean", "full scale", SIGNED, CENTRE),
    Column("centre_saturation", "saturation in the middle less the mean", "share", SIGNED, CENTRE),
    Column("centre_edges", "edges in the middle over the mean", "octaves", (-8.0, 8.0), CENTRE),
)
COLUMNS = LIGHT_COLUMNS + COLOUR_COLUMNS + TEXTURE_COLUMNS + LAYOUT_COLUMNS


@dataclass(frozen=True, slots=True)
class LiteFrames:
    """Light, colour, texture and layout of each sampled frame; rows do not depend on each other."""

    name: str = "lite-frames"
    version: int = 1

    @property
    def features(self) -> tuple[str, ...]:
        """(d,) the name of every column."""
        return names(COLUMNS)

    def __call__(self, video: VideoStreams) -> Sequence:
        """(t, d): one row for each of the t sampled frames, at its presentation time."""
        starts = range(0, max(1, len(video.frames)), BLOCK)
        rows = np.concatenate([measure(video.frames[i : i + BLOCK]) for i in starts])
        return Sequence(rows, video.frame_times_s)


def measure(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(t, h, w, 3) RGB to (t, d): a row depends on its own frame only."""
    planes = np.ascontiguousarray(frames.transpose(0, 3, 1, 2), np.float32) / np.float32(255)
    rgb = area_mean(planes, *working_size(frames.shape[1], frames.shape[2], CELLS))
    grey, saturated = luma(rgb), saturation(rgb)
    right, down = gradients(grey)
    strength = np.hypot(right, down)
    measured = (
        light_measures(grey)
        | lab_measures(rgb)
        | {"colourfulness": colourfulness(rgb)}
        | hue_measures(rgb, saturated)
        | edge_measures(right, down, strength)
        | detail_measures(grey)
        | symmetry_measures(grey)
        | layout_measures("light", grey)
        | layout_measures("colour", saturated)
        | centre_measures(grey, saturated, strength)
    )
    return stack(COLUMNS, measured)
