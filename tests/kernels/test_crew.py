"""Work that threads share."""

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from oneiro.kernels import crew


@pytest.fixture(autouse=True)
def three() -> Iterator[None]:
    crew.use(3)
    yield
    crew.use(None)


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("pieces", [0, 1, 2, 50])
def test_every_piece_is_done_once(pieces: int, count: int) -> None:
    crew.use(count)
    done: list[int] = []
    crew.share(done.append, pieces)
    assert sorted(done) == list(range(pieces))


def test_threads_share() -> None:
    names = set()

    def work(piece: int) -> None:
        names.add(threading.get_ident())
        time.sleep(0.01)

    crew.share(work, 20)
    assert len(names) == 3


def test_one_thread_is_the_callers() -> None:
    crew.use(1)
    names: set[int] = set()
    crew.share(lambda piece: names.add(threading.get_ident()), 5)
    assert names == {threading.get_ident()}


def test_an_error_is_raised_and_the_next_job_runs() -> None:
    def work(piece: int) -> None:
        if piece == 7:
            raise ZeroDivisionError("piece 7")

    with pytest.raises(ZeroDivisionError, match="piece 7"):
        crew.share(work, 20)
    test_every_piece_is_done_once(50, 3)


def test_work_that_shares_in_turn() -> None:
    done: list[tuple[int, int]] = []
    crew.share(lambda outer: crew.share(lambda inner: done.append((outer, inner)), 3), 4)
    assert sorted(done) == [(outer, inner) for outer in range(4) for inner in range(3)]


def test_several_threads_share_at_a_time() -> None:
    sums = [0.0] * 4

    def caller(k: int) -> None:
        for _ in range(20):
            parts = np.zeros(30)

            def work(piece: int, parts: np.ndarray = parts) -> None:
                parts[piece] = piece + k

            crew.share(work, 30)
            sums[k] += parts.sum()

    callers = [threading.Thread(target=caller, args=(k,)) for k in range(4)]
    for thread in callers:
        thread.start()
    for thread in callers:
        thread.join()
    assert sums == [20 * (435 + 30 * k) for k in range(4)]


def test_how_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    assert crew.threads() == 3
    crew.use(None)
    monkeypatch.setenv("OMP_NUM_THREADS", "5,2")
    assert crew.threads() == 5
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert crew.threads() >= 1
    with pytest.raises(ValueError, match="0 threads: there must be one at least"):
        crew.use(0)


def test_matrices_are_multiplied_by_one_thread_beside_the_crew() -> None:
    np.ones((2, 2)) @ np.ones((2, 2))
    with crew.alone():
        counts = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
        with crew.alone():
            pass
        inside = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    assert set(counts) <= {1}
    assert counts == inside
