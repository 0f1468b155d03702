# SPDX-License-Identifier: GPL-2.0-or-later
"""kazoo's own tests, which Debian's python3-kazoo installs beside it."""

import importlib.util
import json
import os
import subprocess
import sys

from zktest import proc
from zktest.tap import Skip

NAME = "kazoo"
HERE = os.path.dirname(os.path.abspath(__file__))

# What kazoo.testing gives its servers; the password of "super" is "test".
CONFIG = {
    "tickTime": "2000",
    "maxSessionTimeout": "40000",
    "reconfigEnabled": "true",
    "DigestAuthenticationProvider.superDigest":
        "super:D/InIHSb7yEEbrWz8b9l71RjZJU=",
}
# SASL is waited for until the session ends; the other two are the same tests
# once more, with the client's other ways to wait.
SLOW = ("test_sasl.py::*", "test_eventlet_handler.py::*",
        "test_gevent_handler.py::*")
# What wants an ensemble: kazoo_ensemble.py.
NOT = ("*::test_update_host_list", "test_connection.py::TestReadOnlyMode::*",
       "test_client.py::TestReconfig::*")
VERSION = "3.8.0"       # of ZooKeeper, as the tests ask for it
TEST_SECONDS = 120      # for one test
NEEDED = ("kazoo.tests", "pytest", "pytest_timeout", "mock", "objgraph",
          "gevent", "eventlet")


def prepare():
    for name in NEEDED:
        try:
            found = importlib.util.find_spec(name)
        except ImportError:
            found = None
        if not found:
            raise Skip("no Python module %s" % name)


def command(work):
    """pytest with our plugin, on kazoo's tests."""
    import kazoo.tests
    return [sys.executable, "-m", "pytest", "-p", "kazoo_plugin",
            "-p", "no:cacheprovider", "-q", "--rootdir", work,
            "--timeout", str(TEST_SECONDS), "-o", "addopts=",
            os.path.dirname(kazoo.tests.__file__)]


def run(job, only):
    work = proc.temp_dir("kazoo-")
    fifo = os.path.join(work, "run")
    os.mkfifo(fifo)
    r, w = os.pipe()
    env = job.environment()
    env.update(PYTHONPATH=HERE, PYTHONDONTWRITEBYTECODE="1",
               ZOOKEEPER_VERSION=VERSION,
               ZOOKEEPER_CLUSTER_SIZE=str(getattr(job.suite, "SIZE", 1)),
               ZKERN_SUITE_RESULTS=str(w), ZKERN_SUITE_RUN=fifo)
    log_path = os.path.join(work, "log")
    with open(log_path, "wb") as log:
        p = proc.spawn(command(work), cwd=work, env=env, stdout=log,
                       stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT,
                       pass_fds=[w])
    os.close(w)
    with open(r) as lines:
        for line in lines:
            got = json.loads(line)
            if "collected" in got:
                names = got["collected"]
                job.collected(names)
                with open(fifo, "w") as f:
                    json.dump(only if only is not None else
                              [n for n in names if job.wanted(n)], f)
            else:
                job.result(got["name"], got["state"], got["why"],
                           got["seconds"])
    if not proc.wait_exit(p, 60):
        proc.kill_group(p)
        proc.wait_exit(p, 30)
    if p.returncode not in (0, 1):
        with open(log_path, errors="replace") as log:
            job.tap.ok(False, job.title("pytest"), "status %s\n%s" % (
                p.returncode, log.read()[-6000:]))
