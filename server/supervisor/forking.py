"""A process that has all code loaded, and nothing else, and becomes a front whenever one is wanted.

The supervisor cannot fork once it has an event loop and threads. So it forks this process before,
which has one thread, and whose memory the fronts share until they write to it: a front begins
within milliseconds, and the code is in memory once.
"""

from __future__ import annotations

import ctypes
import errno
import gc
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from struct import Struct
from threading import Lock
from typing import NoReturn

from ..telemetry.logs import configure_logging

Run = Callable[[int, socket.socket, socket.socket], None]
"""A front, from its beginning to its end: its slot, the control channel, the way of connections."""
REQUEST, ANSWER = Struct("=cq"), Struct("=q")
FORK, END = b"f", b"e"
SUPERVISORS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that are the supervisor's: it drains first."""
PARENT_DEATH = 1
"""prctl's PR_SET_PDEATHSIG."""


class Forker:
    """The supervisor's end. Its methods wait for the other process, which needs milliseconds; any
    thread may call them.
    """

    def __init__(self, run: Run, foreign: Iterable[socket.socket], log_format: str) -> None:
        """Call it while this process has no event loop. foreign: sockets that no front may keep
        open.
        """
        self._lock = Lock()
        self._end, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        gc.freeze()  # else the first look for garbage in each front would copy the pages
        with _heard_later():
            # Until the child ignores them: whoever stops the server early would hear it twice.
            before = signal.pthread_sigmask(signal.SIG_BLOCK, SUPERVISORS)
            self.pid = os.fork()
            if not self.pid:
                _obey(log_format)
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
                _live(theirs, run, (self._end, *foreign))
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()

    def fork(self, slot: int, control: socket.socket, connections: socket.socket) -> int:
        """Begin a front, which takes its ends of the two sockets; returns its process id.

        Raises OSError where the system has no room for another, EOFError as `end` does.
        """
        descriptors = [control.fileno(), connections.fileno()]
        answer = self._ask(REQUEST.pack(FORK, slot), descriptors)
        if answer < 0:
            raise OSError(-answer, os.strerror(-answer))
        return answer

    def end(self, pid: int) -> int:
        """Kill a front unless it has ended; its status, as `os.waitstatus_to_exitcode` has it.

        Until then its process id is nobody else's. Raises EOFError where the process that starts
        the fronts has ended.
        """
        return self._ask(REQUEST.pack(END, pid), [])

    def close(self) -> None:
        """End the process; the fronts have ended before."""
        self._end.close()
        os.waitpid(self.pid, 0)

    def _ask(self, request: bytes, descriptors: list[int]) -> int:
        with self._lock:
            try:
                socket.send_fds(self._end, [request], descriptors)
                data = self._end.recv(ANSWER.size)
            except ConnectionError:
                data = b""
        if not data:
            raise EOFError("the process that starts the fronts has ended")
        return int(ANSWER.unpack(data)[0])


@contextmanager
def _heard_later() -> Iterator[None]:
    """Signals that come meanwhile are heard at the end.

    Python drops what a handler raises while it forks. The mask keeps them from this thread, but
    another one may take a signal, whose handler runs in this one all the same.
    """
    early: list[int] = []
    handlers = {
        number: signal.signal(number, lambda number, _: early.append(number))
        for number in SUPERVISORS
    }
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for heard in early:
            signal.raise_signal(heard)


def _obey(log_format: str) -> None:
    """End with the parent, and leave all signals of the terminal to it."""
    for number in SUPERVISORS:
        signal.signal(number, signal.SIG_IGN)
    _end_with_parent()
    configure_logging(log_format)


def _end_with_parent() -> None:
    """The system kills this process when its parent ends, however that ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PARENT_DEATH, signal.SIGKILL)


def _live(supervisor: socket.socket, run: Run, foreign: Iterable[socket.socket]) -> NoReturn:
    """All that this process does. foreign: the supervisor's sockets."""
    try:
        for each in foreign:
            each.close()
        _serve(supervisor, run)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(0)  # what follows in the supervisor is not this process's


def _serve(supervisor: socket.socket, run: Run) -> None:
    """Until the supervisor ends, which it may do before it has read an answer."""
    with suppress(ConnectionError):
        _answer_all(supervisor, run)


def _answer_all(supervisor: socket.socket, run: Run) -> None:
    while True:
        data, descriptors, _, _ = socket.recv_fds(supervisor, REQUEST.size, 2)
        if not data:
            return
        what, number = REQUEST.unpack(data)
        if what == END:
            os.kill(number, signal.SIGKILL)
            _, status = os.waitpid(number, 0)
            supervisor.send(ANSWER.pack(os.waitstatus_to_exitcode(status)))
            continue
        parent = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:  # of memory or processes there are no more just now
            pid = -(error.errno or errno.EAGAIN)
        if not pid:
            _become_front(supervisor, parent, run, number, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        supervisor.send(ANSWER.pack(pid))


def _become_front(
    supervisor: socket.socket, parent: int, run: Run, slot: int, descriptors: list[int]
) -> None:
    status = 1
    try:
        supervisor.close()
        _end_with_parent()
        if os.getppid() != parent:
            return  # it has ended meanwhile
        control, connections = (socket.socket(fileno=each) for each in descriptors)
        run(slot, control, connections)
        status = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(status)  # what the parent would do at its end is not this process's to do
