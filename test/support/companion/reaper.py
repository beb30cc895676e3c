# Parent of daemons that leave their children behind, and of these: starts what the lines on standard input name (JSON, one command each),
# says its process id on standard output, and takes every dead process of theirs away, as the first process of a host does.

import ctypes
import json
import os
import signal
import sys

PR_SET_CHILD_SUBREAPER = 36  # prctl(2)


def reap(*_):
    try:
        while os.waitpid(-1, os.WNOHANG)[0] != 0:
            pass
    except ChildProcessError:
        pass  # nobody is left


ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
signal.signal(signal.SIGCHLD, reap)
for line in sys.stdin:
    words = json.loads(line)
    to_stderr = [(os.POSIX_SPAWN_DUP2, 2, 1)]
    pid = os.posix_spawnp(words[0], words, os.environ, file_actions=to_stderr, setsigdef=[signal.SIGCHLD])
    print(pid, flush=True)
