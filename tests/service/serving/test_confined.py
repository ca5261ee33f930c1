"""A try that could not run is told and made again; one that ran is not, since the machine stays as it is."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from model.media.child import Decoder
from model.media.streams import VideoLimits
from service.serving.confined import Confined


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    """So that this process can open nothing."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_try_that_could_not_run_is_told_and_made_again(caplog: pytest.LogCaptureFixture) -> None:
    with Decoder(VideoLimits()) as decoder:
        confined = Confined(decoder)
        with no_descriptor_left():
            confined.look()
            confined.look()
        assert "could not be tried" in str(confined.fault)
        assert "yuyin doctor" in str(confined.fault)
        assert not confined.blocked, "the next one may do"
        assert sum("not confined" in record.message for record in caplog.records) == 1, "said once"
        confined.look()
        guards = decoder.guards()
        assert (confined.fault is None) == (guards.calls_filtered and not guards.possible)
        found = confined.fault
        assert "could not be tried" not in str(found)
        with no_descriptor_left():  # in which no try could run
            confined.look()
        assert confined.fault == found
