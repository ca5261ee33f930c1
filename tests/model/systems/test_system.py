import pickle

import pytest

from model.systems.batch import Dims
from model.systems.system import MissingInput, wanted, wanted_categories, wanted_text

NOTHING = Dims({"frames": 3}, {"audio": 2}, 0, 0, 1, {})


@pytest.mark.parametrize(
    ("ask", "reason"),
    [
        (
            lambda: wanted(NOTHING.music, ("audio", "emotion"), "YuYin"),
            "YuYin reads the input 'emotion', which this data set does not have",
        ),
        (lambda: wanted_text(NOTHING, "CMVAE"), "CMVAE reads text, which this data set does not have"),
        (
            lambda: wanted_categories(NOTHING, "YuYin"),
            "YuYin learns categories, which this data set does not have",
        ),
    ],
)
def test_what_is_missing_is_a_short_reason_and_a_sentence_with_a_way_out(ask, reason) -> None:
    with pytest.raises(MissingInput) as raised:
        ask()
    from_another_process = pickle.loads(pickle.dumps(raised.value))
    for error in (raised.value, from_another_process):
        assert error.reason == reason
        assert (
            str(error) == f"{reason}: choose --system yuyin_plus, which does without, or a preset that does"
        )
