"""A tag in, what it asks of the index out: the words that a bundle understands."""

import threading

import numpy as np
from numpy.typing import NDArray

from model.backbones.loaded import Backbones
from model.bundle import Bundle
from model.errors import BadOptions
from model.features.extractors import TextExtractor
from model.features.pretrained import Pretrained


class UnknownText(BadOptions):
    """A text that the bundle was not trained with."""

    def __init__(self, text: str, tags: tuple[str, ...]) -> None:
        self.members = {"tags": list(tags)}
        known = f"it understands only its own tags: {', '.join(tags)}" if tags else "it was trained without"
        super().__init__(f"'text': {text!r} says nothing to this server's bundle: {known}")


class Texts:
    """The tags of one bundle. Every method may be called from any thread."""

    def __init__(self, bundle: Bundle, backbones: Backbones) -> None:
        """Opens nothing: a server may do without the network of texts until somebody asks with one."""
        self._bundle = bundle
        self._backbones = backbones
        self._turn = threading.Lock()  # a network of texts is not shared with other threads
        self._extractor: TextExtractor | None = None
        self._vectors: dict[str, NDArray[np.float32]] = {}

    def tag(self, text: str) -> str:
        """The bundle's own spelling of one of its tags, however it is written.

        Raises:
            UnknownText: with the tags it knows.
        """
        for tag in self._bundle.tags:
            if tag.strip().casefold() == text.strip().casefold():
                return tag
        raise UnknownText(text, self._bundle.tags)

    def vector(self, text: str) -> NDArray[np.float32]:
        """(d,) unit, in the space of the index.

        Raises:
            UnknownText: if it is none of the bundle's tags.
            NotInstalled: if the profile's texts need a network that is not here.
            Mismatch: if that network has other weights than the bundle was trained with.
        """
        tag = self.tag(text)
        with self._turn:
            if tag not in self._vectors:
                if self._extractor is None:
                    self._extractor = self._bundle.load_profile(self._backbones, "text").text
                self._vectors[tag] = self._bundle.embed_text(self._extractor(tag)[None])[0]
            return self._vectors[tag]

    def free(self, extractor: TextExtractor) -> dict[str, NDArray[np.float32]]:
        """Every tag's vector where a text costs no network; else none.

        Never those that happen to be there: the same question would then have different answers.
        """
        if isinstance(extractor, Pretrained):
            return {}
        return {tag: self.vector(tag) for tag in self._bundle.tags}
