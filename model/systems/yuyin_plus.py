"""YuYin+, our own two-tower: YuYin's towers learn what a closed form has left over, and hubs are taken down.

    z_k = norm(MLP_k(h_k) + path_k(x_k)),  k in {v, m}     path: kernel CCA, `model.systems.kernel_path`
    score(v, m) = <z_v, z_m> - b(v) - b(m)                 b: querybank normalisation, `model.systems.hubness`

Nothing here is from the paper but what `model.systems.yuyin` says is. With thousands of pairs instead of a
hundred thousand, a well made closed form beats what gradients find (docs/models.md 7.7); so the path is
computed first and stays, the MLPs start at 0, and noise, dropout and mixup keep them from learning pairs by
heart. Whatever of emotion, text and categories a data set lacks, is left out.

The switches, each of them a row `wo_...` of `PRESETS`; docs/log.md has what each brings.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from model.systems.batch import Batch, Dims, Prepared
from model.systems.hubness import EXTRA, Hubness
from model.systems.kernel_path import EXPONENTS, Chooser, Path, PathChoice, Side, fit_paths
from model.systems.recipe import Preset
from model.systems.views import Pool, Pooled, joined
from model.systems.yuyin import PRESETS as YUYIN
from model.systems.yuyin import YuYin, YuYinConfig

BANK = 1024  # training embeddings of either side that hubs are measured with


@dataclass(frozen=True, slots=True)
class YuYinPlusConfig(YuYinConfig):
    """YuYin's fields with other values, and the switches of ours."""

    common: int = 256 - EXTRA  # with the dimensions that take hubs down it is YuYin's 256
    pool: Pool = "mean_std"
    symmetric: bool = True
    mask_same_track: bool = True
    temperature: float = 0.2
    class_scale: float = 10.0
    input_noise: float = 0.2
    input_dropout: float = 0.2
    dropout: float = 0.4
    mixup: float = 0.4
    path: bool = True  # the closed form; without it YuYin's `lite` preset without its linear path
    scale: bool = True  # choose the exponents of the columns' scales; z-scores without
    curved: bool = True  # may choose the Gaussian kernel
    shared: bool = True  # pair a video with all clips of its track
    learn: bool = True  # the towers of YuYin; without them the closed form alone
    hubness: bool = True  # querybank normalisation


class YuYinPlus(YuYin):
    """YuYin with another start and another end."""

    def __init__(self, dims: Dims, config: YuYinPlusConfig) -> None:
        """Reads what there is; raises `MissingInput` if there is no audio."""
        super().__init__(dims, _within(dims, config))
        self.plus = config
        if config.path:
            self.video_linear = Path(self.video_view.width, config.common)
            self.music_linear = Path(self.music_view.width, config.common)
        self.hubs = Hubness(BANK, config.common, config.temperature) if config.hubness else None
        if not config.learn:
            self.requires_grad_(False)

    @torch.no_grad()
    def start(self, pairs: Batch) -> None:
        """The path, from all training pairs; the MLPs at 0."""
        if not isinstance(self.video_linear, Path) or not isinstance(self.music_linear, Path):
            return
        sides = (_side(self.video_view, pairs.video), _side(self.music_view, pairs.music))
        track = pairs.track.cpu().numpy()
        order = torch.randperm(len(track)).numpy()
        choice = self._choice(sides, track)
        paths = (self.video_linear, self.music_linear)
        fit_paths(paths, sides, track, choice, order, shared=self.plus.shared)
        self._silence()

    def _choice(self, sides: tuple[Side, Side], track: np.ndarray) -> PathChoice:
        chooser = Chooser(sides, track, shared=self.plus.shared)
        exponents = EXPONENTS if self.plus.scale else (0.0,)
        return chooser.best(exponents=exponents, curved=(False, True) if self.plus.curved else (False,))

    @torch.no_grad()
    def settle(self, pairs: Batch) -> None:
        """Measure hubs with what the towers are now."""
        if self.hubs is None:
            return
        rows = self.hubs.rows(len(pairs)).to(pairs.track.device)
        self.eval()  # without dropout
        self.hubs.fill(self._video(joined(pairs.video)[rows]), self._music(joined(pairs.music)[rows]))

    def embed_video(self, video: Prepared) -> Tensor:
        """(b, common + EXTRA) unit rows."""
        z = self._video(joined(video))
        return z if self.hubs is None else self.hubs.video(z)

    def embed_music(self, music: Prepared) -> Tensor:
        """(b, common + EXTRA) unit rows."""
        z = self._music(joined(music))
        return z if self.hubs is None else self.hubs.track(z)

    def embed_text(self, text: Tensor) -> Tensor:
        """(b, common + EXTRA) unit rows; a text asks as a video does."""
        z = self._text(text)
        return z if self.hubs is None else self.hubs.video(z)


def _within(dims: Dims, config: YuYinPlusConfig) -> YuYinPlusConfig:
    """Without the parts whose inputs the data set lacks."""
    emotion = config.emotion and "emotion" in dims.music
    return replace(
        config,
        emotion=emotion,
        fusion=config.fusion if emotion else "concat",
        text=config.text and dims.text > 0,
        category=config.category and dims.categories > 0,
    )


def _side(view: Pooled, prepared: Prepared) -> Side:
    return Side(joined(prepared).cpu().numpy(), view.standardise.spread.double().cpu().numpy())


_FULL = Preset(YuYinPlusConfig(), YUYIN["lite"].training)


def _with(**changes: object) -> Preset:
    return replace(_FULL, system=replace(_FULL.system, **changes))


PRESETS = {
    "full": _FULL,
    "wo_path": _with(path=False),
    "wo_scale": _with(scale=False),
    "wo_curved": _with(curved=False),
    "wo_shared": _with(shared=False),
    "wo_learn": _with(learn=False),
    "wo_hubness": _with(hubness=False),
}
