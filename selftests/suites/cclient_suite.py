# SPDX-License-Identifier: GPL-2.0-or-later
"""The C client's own tests (zktest-mt), built from Debian's source of the
package whose library is installed; see csource.

Each test is a process of its own.  Its server is started anew for it, as
upstream's script does; ours stands in for that (cserver), and a preloaded
connect() leads from the port that the tests know to the server's (cport.c).
"""

import os
import re
import subprocess
import time

from zktest import proc
from zktest.tap import Skip

NAME = "cclient"
HERE = os.path.dirname(os.path.abspath(__file__))
# As tests/zkServer.sh and tests/zoo.cfg have it.
CONFIG = {
    "extendedTypesEnabled": "true",
    "znode.container.checkIntervalMs": "100",
}
SLOW = ()
TEST_SECONDS = 240
folder = None


def prepare():
    """Fetch and build, unless that was done before."""
    global folder
    status, out, err = proc.run([os.path.join(HERE, "csource")], timeout=1800)
    if status:
        raise Skip(err.strip().replace("\n", " | ")[-300:])
    folder = out.strip()


def run(job, only):
    with open(os.path.join(folder, "names")) as f:
        names = f.read().split()
    job.collected(names)
    for name in only if only is not None else names:
        if only is None and not job.wanted(name):
            continue
        begin = time.monotonic()
        state, why = one(job, name)
        job.result(name, state, why, time.monotonic() - begin)


def one(job, name):
    env = job.environment()
    env.update(ZKERN_SUITE_SERVER=os.path.join(HERE, "cserver"),
               ZKERN_SUITE_PORT=str(job.server.port),
               LD_PRELOAD=os.path.join(folder, "port.so"))
    work = proc.temp_dir("cclient-")
    try:
        status, out, err = proc.run(
            [os.path.join(folder, "zktest-mt"), name], timeout=TEST_SECONDS,
            cwd=work, env=env, stdin=subprocess.DEVNULL)
    except TimeoutError as e:
        return "failed", str(e)
    # An unknown name would end with status 0, too.
    if status == 0 and re.search(r"^OK \(1\)$", out, re.M):
        return "passed", ""
    return "failed", "status %s\n%s%s" % (status, out, err)
