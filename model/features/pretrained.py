"""A backbone of the catalogue and its network, if it is here, in; what its extractor is and runs out."""

from collections.abc import Iterable
from copy import copy
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from model.backbones.catalogue import BackboneSpec
from model.errors import Mismatch, NotInstalled
from model.runtime.network import Network


class Pretrained:
    """What extractors that run a frozen network share: they can be described without it, but not called."""

    spec: ClassVar[BackboneSpec]

    def __init__(self, network: Network | None = None, weights: str | None = None) -> None:
        """`weights` is the id of the Backbone that the network was opened from."""
        self.network = network
        self.weights = weights

    def through(self, network: Network) -> Self:
        """The same extractor over the same weights, run by another network."""
        found = copy(self)
        found.network = network
        return found

    @property
    def name(self) -> str:
        """The backbone's."""
        return self.spec.name

    @property
    def version(self) -> int:
        """Of our pre- and post-processing."""
        return self.spec.version

    @property
    def features(self) -> tuple[str, ...]:
        """(d,) the name of every column."""
        return tuple(f"{self.name}_{i:04d}" for i in range(self.spec.width))

    def vectors(self, batches: Iterable[NDArray[Any]]) -> NDArray[np.float32]:
        """Batches (b_i, ...), made one at a time so that memory stays bounded, to (sum b_i, d).

        Raises:
            NotInstalled: without a network.
            Mismatch: if the network gives vectors of another width.
        """
        if self.network is None:
            raise NotInstalled(
                f"the network of {self.name} is not loaded: run `yuyin models pull paper`, "
                "or point YUYIN_MODELS to where it is"
            )
        found = [np.empty((0, self.spec.width), np.float32)]
        for batch in batches:
            rows = self.network(batch)
            if rows.shape != (len(batch), self.spec.width):
                raise Mismatch(
                    f"the network of {self.name} gave {rows.shape} for {len(batch)} inputs, "
                    f"not {(len(batch), self.spec.width)}: export the backbone again"
                )
            found.append(rows)
        return np.concatenate(found)
