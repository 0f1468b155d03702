# SPDX-License-Identifier: GPL-2.0-or-later
"""The C client, libzookeeper_mt: runs the program built from cclient.c."""

import os
import signal
import subprocess

from zktest import proc, wire
from zktest.server import TOP

PROGRAM = os.path.join(TOP, "build", "selftests", "protocol", "cclient")


def t_c_client(server):
    if not os.path.exists(PROGRAM):
        raise AssertionError("%s is not built" % PROGRAM)
    status, out, err = proc.run([PROGRAM, server.address], timeout=300)
    assert status == 0 and "not ok" not in out and "1.." in out, \
        "status %d\n%s%s" % (status, out, err)


def t_c_client_rewatch(server):
    """The server is killed; the client finds it again, sets its watches
    anew (setWatches) and is told what it missed."""
    if not os.path.exists(PROGRAM):
        raise AssertionError("%s is not built" % PROGRAM)
    p = proc.spawn([PROGRAM, server.address, "rewatch"],
                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    out = ""
    while "ready\n" not in out:
        line = p.stdout.readline()
        if not line:
            raise AssertionError("it ended early:\n" + out)
        out += line
    # While it is stopped it cannot come back before the changes are done.
    proc.pause(p)
    server.restart(crash=True)
    c = wire.Client(server.host, server.port)
    for op, body in (
            (wire.SET_DATA, wire.b_set_data("/c-rewatch", b"new")),
            (wire.CREATE, wire.b_create("/c-rewatch/new")),
            (wire.DELETE, wire.b_path_int("/c-rewatch/gone", -1))):
        assert c.call(op, body).err == 0
    c.close_session()
    p.send_signal(signal.SIGCONT)
    out += p.communicate("go\n", timeout=300)[0]
    assert p.returncode == 0 and "not ok" not in out and "1.." in out, \
        "status %d\n%s" % (p.returncode, out)
