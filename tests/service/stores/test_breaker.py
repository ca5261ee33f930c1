import time

from service.stores.breaker import Breaker


def test_it_lets_one_probe_through_after_each_pause_and_each_pause_is_longer() -> None:
    breaker = Breaker(first_pause_s=0.05, longest_pause_s=0.2)
    assert breaker.allows()
    breaker.failed()
    assert not breaker.closed
    pauses = []
    for _ in range(4):
        began = time.monotonic()
        while not breaker.allows():
            time.sleep(0.002)
        pauses.append(time.monotonic() - began)
        assert not breaker.allows()  # the only probe
        breaker.failed()
    for pause, least in zip(pauses, (0.045, 0.09, 0.19, 0.19), strict=True):
        assert pause >= least
    while not breaker.allows():
        time.sleep(0.002)
    breaker.succeeded()
    assert breaker.closed
    assert all(breaker.allows() for _ in range(3))


def test_many_calls_that_fail_together_count_once() -> None:
    breaker = Breaker(first_pause_s=0.05, longest_pause_s=100)
    for _ in range(50):
        breaker.failed()
    time.sleep(0.2)
    assert breaker.allows()
