"""The words of a bundle: which it knows, what they ask, and what a server without their network says."""

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from model.backbones.loaded import Backbones
from model.bundle import Bundle
from model.errors import BadOptions, NotInstalled
from model.features.paper import profile as paper_profile
from model.features.text import LiteText
from service.serving.texts import Texts, UnknownText

NOWHERE = Backbones(Path("no-models"))


@pytest.fixture(scope="module")
def bundle(bundles: tuple[Path, Path]) -> Bundle:
    return Bundle.open(bundles[0])


def test_a_tag_is_what_the_text_tower_makes_of_it(bundle: Bundle) -> None:
    """By a session of its own on the same graph."""
    session = onnxruntime.InferenceSession(bundle.folder / "text_tower.onnx")
    for written, tag in (("happy", "happy"), (" HAPPY", "happy"), ("Calm ", "calm")):
        expected = session.run(None, {"text": LiteText()(tag)[None]})[0][0]
        assert Texts(bundle, NOWHERE).vector(written) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("text", ["happ", "happy calm", "", " ", "sad"])
def test_another_text_is_refused_with_the_list(bundle: Bundle, text: str) -> None:
    with pytest.raises(UnknownText, match="happy, calm") as refused:
        Texts(bundle, NOWHERE).vector(text)
    assert refused.value.members == {"tags": ["happy", "calm"]}
    assert isinstance(refused.value, BadOptions)


def test_a_bundle_without_text_says_so(bundle: Bundle) -> None:
    silent = replace(bundle, manifest=bundle.manifest | {"tags": []})
    texts = Texts(silent, NOWHERE)
    with pytest.raises(UnknownText, match="without"):
        texts.vector("happy")
    assert texts.free(LiteText()) == {}


def test_all_tags_are_at_hand_where_they_cost_nothing(bundle: Bundle) -> None:
    texts = Texts(bundle, NOWHERE)
    free = texts.free(LiteText())
    assert list(free) == ["happy", "calm"]
    for tag, vector in free.items():
        assert np.array_equal(vector, texts.vector(tag))


def test_a_missing_network_is_missed_only_by_who_asks_with_a_text(bundle: Bundle) -> None:
    """As a server of the paper's profile that was never given BERT."""
    paper = replace(bundle, manifest=bundle.manifest | {"profile": "paper"})
    texts = Texts(paper, NOWHERE)
    assert texts.free(paper_profile().text) == {}
    with pytest.raises(UnknownText):
        texts.vector("sad")  # no network is needed to say that
    for _ in range(2):  # it may be installed meanwhile, so each one looks
        with pytest.raises(NotInstalled):
            texts.vector("happy")


def test_many_threads_get_the_same_vector(bundle: Bundle) -> None:
    texts, found = Texts(bundle, NOWHERE), []
    threads = [threading.Thread(target=lambda: found.append(texts.vector("calm"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(vector) for vector in found}) == 1
