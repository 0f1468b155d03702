# SPDX-License-Identifier: GPL-2.0-or-later
"""Child processes that never outlive the test, ports nobody else has.

A child is killed when the test ends, however it ends: at exit, on SIGTERM,
SIGINT and SIGHUP by a handler, and on SIGKILL of the test by the kernel
(PR_SET_PDEATHSIG; a child's own children are reached through its process
group).
"""

import atexit
import ctypes
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)
_children = []
_dirs = []
_at_end = []
_used_ports = set()
_reserved = []      # sockets, whose names say which ports are taken
_main_pid = os.getpid()


def _in_child():
    os.setsid()
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def spawn(args, **kwargs):
    """subprocess.Popen in its own process group, killed with the test."""
    p = subprocess.Popen(args, preexec_fn=_in_child, **kwargs)
    _children.append(p)
    return p


def kill_group(p, sig=signal.SIGKILL):
    """Send sig to the process group of a child made by spawn()."""
    try:
        os.killpg(p.pid, sig)
    except ProcessLookupError:
        pass


def pause(p):
    """Stop a child; when this returns none of its threads does anything. (One thread
    takes the signal, and on a busy machine the others go on until it does.)"""
    p.send_signal(signal.SIGSTOP)
    tasks = "/proc/%d/task" % p.pid

    def stopped():
        for tid in os.listdir(tasks):
            with open(os.path.join(tasks, tid, "stat")) as f:
                if f.read().rpartition(")")[2].split()[0] not in "tT":
                    return False
        return True
    wait_for(stopped, 60, "process %d to be stopped" % p.pid)


def wait_exit(p, timeout):
    """True if the child ended within timeout seconds (then it is reaped)."""
    try:
        p.wait(timeout)
    except subprocess.TimeoutExpired:
        return False
    if p in _children:
        _children.remove(p)
    return True


def run(args, timeout=120, **kwargs):
    """Run to its end; gives (status, stdout, stderr) as text."""
    kwargs.setdefault("stdin", subprocess.DEVNULL)
    p = spawn(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kwargs)
    try:
        out, err = p.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        kill_group(p)
        out, err = p.communicate()
        raise TimeoutError("%s took more than %d s\n%s%s" % (
            args, timeout, out.decode(errors="replace"),
            err.decode(errors="replace")))
    finally:
        if p in _children:
            _children.remove(p)
    return p.returncode, out.decode(errors="replace"), \
        err.decode(errors="replace")


def base_dir():
    """The one directory that holds all that this test makes."""
    if not _dirs:
        _dirs.append(tempfile.mkdtemp(prefix="zkern-test-"))
    return _dirs[0]


def temp_dir(prefix="dir-"):
    """A new directory below base_dir(), removed when the test ends."""
    return tempfile.mkdtemp(prefix=prefix, dir=base_dir())


def _reserve(port):
    """False: another test of this network namespace has it.  (So does free_port() in
    ../peer/nodes.c.)"""
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        s.bind("\0zkern-port-%d" % port)
    except OSError:
        s.close()
        return False
    _reserved.append(s)
    return True


def free_port():
    """A loopback TCP port that nothing listens on now, never given twice while
    this test runs, also to no other test.

    Taken from below the range of outgoing connections, so that none of
    those can come between this and the server's bind().
    """
    while True:
        port = random.randrange(20000, 32000)
        if port in _used_ports or not _reserve(port):
            continue
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
        _used_ports.add(port)
        return port


def wait_for(cond, timeout, what, step=0.05):
    """Wait until cond() is true (its value is given back) or fail."""
    end = time.monotonic() + timeout
    while True:
        v = cond()
        if v:
            return v
        if time.monotonic() > end:
            raise TimeoutError("waited %g s for %s" % (timeout, what))
        time.sleep(step)


def at_end(func):
    """Have func called when the test ends, before children are killed."""
    _at_end.append(func)


def cleanup():
    """Kill all children, remove all directories."""
    if os.getpid() != _main_pid:
        return
    while _at_end:
        try:
            _at_end.pop()()
        except Exception as e:
            sys.stderr.write("cleaning up: %s\n" % e)
    for p in list(_children):
        kill_group(p)
        p.wait()
        _children.remove(p)
    if os.environ.get("ZKERN_TEST_KEEP"):
        for d in _dirs:
            sys.stderr.write("kept: %s\n" % d)
    else:
        for d in _dirs:
            shutil.rmtree(d, ignore_errors=True)
    _dirs.clear()


def _on_signal(signum, _frame):
    cleanup()
    signal.signal(signum, signal.SIG_DFL)
    os.kill(os.getpid(), signum)


atexit.register(cleanup)
for _sig in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(_sig, _on_signal)
