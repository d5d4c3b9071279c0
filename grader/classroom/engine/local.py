"""The engine on this machine."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from queue import SimpleQueue
from threading import Event

from grader.classroom.engine.bench import Bench, EngineError, Stopped
from grader.classroom.engine.readiness import lacking
from grader.classroom.types import Course, Done, Job
from grader.sandbox import Sandbox

AHEAD = 2  # jobs that wait for a thread, so that none of these waits while a result is put away


class Local:
    """Grades `jobs` submissions at a time, in processes that one template forks.

    It starts importing at once. As a context manager it begins when that is done, or raises EngineError; at the end, no
    process is left.
    """

    def __init__(self, course: Course, jobs: int, sandbox: Sandbox) -> None:
        self._course = course
        self._jobs = jobs
        self._closed = Event()
        self._bench = Bench(sandbox, jobs, gpu=course.settings.train and course.settings.device == "cuda")
        self._pool = ThreadPoolExecutor(jobs, thread_name_prefix="grading")

    @property
    def shown(self) -> str:
        return f"{self._jobs} at a time on this machine"

    def __enter__(self) -> Local:
        try:
            if problem := lacking(self._course):
                raise EngineError(problem)
            self._bench.begin()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def grade(self, jobs: Iterator[Job]) -> Iterator[Done]:
        """Yield what comes of each job as it ends; leaving early ends those that are under way."""
        ended: SimpleQueue[Future[Done]] = SimpleQueue()
        under_way: set[Future[Done]] = set()
        left = Event()

        def heed() -> None:
            if left.is_set() or self._closed.is_set():
                raise Stopped

        try:
            while True:
                for job in itertools.islice(jobs, self._jobs + AHEAD - len(under_way)):
                    future = self._pool.submit(self._bench.grade, self._course, job, heed)
                    under_way.add(future)
                    future.add_done_callback(ended.put)
                if not under_way:
                    return
                future = ended.get()
                under_way.remove(future)
                yield future.result()
        finally:
            left.set()
            wait([future for future in under_way if not future.cancel()])

    def close(self) -> None:
        """End what is under way, and every process."""
        self._closed.set()
        self._pool.shutdown(cancel_futures=True)
        self._bench.close()
