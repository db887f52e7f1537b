"""What the worker does to its own process: no dumps, no cores, first to go when memory ends, no life after its parent.

Linux; plain Python only.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys
import threading
import time
from collections.abc import Callable

EXIT_BOUND_S = 5.0
"""From the end of its parent to that of a process which has not ended itself."""
_PR_SET_DUMPABLE = 4
_EXIT_CODE_ORPHANED = 75
_STATM_RESIDENT_FIELD = 1
_OOM_SCORE_ADDED = 500
_M_ARENA_MAX = -8  # mallopt(3)
_MOST_ARENAS = 2
_LEAST_PRIORITY = 19
_OOM_SCORE_MAX = 1000  # proc_pid_oom_score_adj(5)


def forbid_dumps() -> None:
    """No core file, no ptrace and no /proc/PID/mem for others of the same user: prompts live in this memory (I4)."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_DUMPABLE) failed")


def give_back_memory() -> None:
    """Gives the system what the start needed and the rest of a life does not (malloc_trim(3)); nothing elsewhere."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's own
    if trim is not None:
        trim(0)


def keep_few_arenas() -> None:
    """Has all threads share two heaps (mallopt(3)); nothing elsewhere. Call it while there is one thread.

    By default glibc gives new threads heaps of their own. A runtime that is closed leaves its threads' heaps behind,
    full of holes, and each one after it makes more of them: memory grew by 15 MB with every exchange of adapters.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(_M_ARENA_MAX, _MOST_ARENAS)


def go_first_when_memory_ends(*, before_others: bool = False) -> None:
    """Makes the kernel's out-of-memory killer prefer this process to the daemon, which can start another.

    The score is raised by half of its range over what was inherited, or to its end where it is to go before other
    workers too, and never lowered: that would take a privilege.
    Call it before `forbid_dumps`, after which these files belong to root. There is no limit on the address space beside
    it: weights are mapped and devices reserve far more than they use, so that any such bound would be wrong.
    """
    try:
        with open("/proc/self/oom_score_adj", "r+", encoding="ascii") as file:  # noqa: PTH123 - read, then written
            score = _OOM_SCORE_MAX if before_others else min(_OOM_SCORE_MAX, int(file.read()) + _OOM_SCORE_ADDED)
            file.seek(0)
            file.write(str(score))
    except OSError as error:  # such as a container's read-only /proc: all else works, so it is only said
        sys.stderr.write(f"This worker is not preferred when memory ends: {error.strerror}.\n")


def give_way() -> None:
    """Has this process, and all threads that it starts from now on, run at the lowest priority of nice(2).

    Beside one of the usual priority it gets about a sixtieth of a processor that both want. SCHED_IDLE would leave it
    less, and on a machine that others keep busy so little that it could not even start.
    """
    os.nice(_LEAST_PRIORITY)


def watch_parent(parent_gone: Callable[[], object]) -> None:
    """Calls `parent_gone`, from a thread, once standard input ends; ends the process if that has not, 5 s later.

    A pipe rather than PR_SET_PDEATHSIG: that one fires when the *thread* that forked ends, misses a parent that died
    before it was set, and does not cross a container's boundary. A thread rather than the loop: an engine that hangs
    in native code stops the loop. The parent holds the pipe's other end and never writes to it.
    """

    def wait_for_end() -> None:
        while os.read(0, 4096):
            pass
        parent_gone()
        time.sleep(EXIT_BOUND_S)
        os._exit(_EXIT_CODE_ORPHANED)

    threading.Thread(target=wait_for_end, name="parent-watch", daemon=True).start()


def resident_bytes() -> int:
    """Memory of this process that is in RAM, shared pages included."""
    with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123 - asked often; open() is the short way
        return int(statm.read().split()[_STATM_RESIDENT_FIELD]) * resource.getpagesize()
