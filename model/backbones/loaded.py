"""A MODELS folder in, pretrained networks that can be called out."""

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from model.backbones.catalogue import spec_of
from model.backbones.folder import Backbone
from model.runtime.accelerator import Accelerator
from model.runtime.network import Network


@dataclass(frozen=True, slots=True)
class LoadedBackbone:
    """A backbone of the catalogue, as far as it is here."""

    network: Network | None = None
    weights: str | None = None  # `Backbone.id`
    vocabulary: Path | None = None  # of a text backbone


@dataclass(frozen=True, slots=True)
class Backbones:
    """The pretrained networks of one folder, and how they run."""

    models: Path
    precision: str = "fp32"
    accelerator: Accelerator = field(default_factory=Accelerator)

    def shared_by(self, processes: int) -> Self:
        """The same for each of so many processes, which share the cores."""
        each = max(1, len(os.sched_getaffinity(0)) // processes)
        return replace(self, accelerator=replace(self.accelerator, at_once=each))

    def load(self, name: str) -> LoadedBackbone:
        """The network called `name`; its session opens when it is first called.

        Raises:
            BadOptions: for an unknown name.
            NotInstalled: if it is not in the folder at this precision.
            Corrupt: if a file of it was changed.
            Mismatch: if it was made for another version of our pre- and post-processing.
        """
        from model.runtime.graph_network import GraphNetwork  # onnxruntime: settings do without

        backbone = Backbone.open(self.models, name, "fp32" if spec_of(name).reads_text else self.precision)
        network = GraphNetwork(backbone.graph, self.accelerator)
        return LoadedBackbone(network, backbone.id, backbone.vocabulary)
