"""A bar stays where work was done, goes where it was not, and a Ctrl-C is told how to go on."""

import pytest

from yuyin.cli.progress import bar


def test_a_log_file_gets_the_last_state(capsys: pytest.CaptureFixture[str]) -> None:
    with bar("counting") as show:
        show(1, 3)
        show(3, 3)
    said = capsys.readouterr()
    assert said.out == ""
    assert "counting" in said.err
    assert "3/3" in said.err


def count_and_fail() -> None:
    with bar("counting") as show:
        show(1, 3)
        raise ValueError("lost")


def test_an_error_takes_the_bar_with_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="lost"):
        count_and_fail()
    assert capsys.readouterr().err.strip() == ""


def test_ctrl_c_says_what_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), bar("counting", lambda: "count again"):
        raise KeyboardInterrupt
    assert capsys.readouterr().err.strip() == "stopped: count again"
    with pytest.raises(KeyboardInterrupt), bar("counting"):
        raise KeyboardInterrupt
    assert capsys.readouterr().err.strip() == ""
