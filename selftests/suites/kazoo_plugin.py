# SPDX-License-Identifier: GPL-2.0-or-later
"""pytest plugin for kazoo's own tests: their cluster is our server.

kazoo.testing makes a ZookeeperCluster of Java processes; here it gets one of
the servers that are steered through control.py, one or more.  What becomes of each test
is written to the descriptor in ZKERN_SUITE_RESULTS, a JSON line each (the
first is answered by a JSON list in the fifo ZKERN_SUITE_RUN: those to be run):

    {"collected": [name, ...]}
    {"name": ..., "state": "passed|failed|skipped", "why": ..., "seconds": n}
"""

import json
import os

import kazoo.testing.harness
import pytest

import control

RUN = "ZKERN_SUITE_RUN"
RESULTS = "ZKERN_SUITE_RESULTS"


class OurServer:
    """What the tests use of kazoo.testing.common.ManagedZooKeeper."""

    def __init__(self, number):
        self.number = str(number)
        self.address = control.send("address", self.number)
        self.running = False

    @property
    def client_port(self):
        return int(self.address.rsplit(":", 1)[1])

    def run(self):
        control.send("start", self.number)
        self.running = True

    def stop(self):
        control.send("stop", self.number)
        self.running = False


class OurCluster:
    """What the tests use of kazoo.testing.common.ZookeeperCluster."""

    def __init__(self, size, **_ignored):
        self.servers = [OurServer(i) for i in range(size)]

    def __getitem__(self, k):
        return self.servers[k]

    def __iter__(self):
        return iter(self.servers)

    def start(self):
        for s in self.servers:
            s.run()

    def terminate(self):
        """The servers are not ours to end."""


kazoo.testing.harness.ZookeeperCluster = OurCluster


def say(what):
    os.write(int(os.environ[RESULTS]), (json.dumps(what) + "\n").encode())


def name_of(nodeid):
    """test_x.py::TestY::test_z, without the folders."""
    return nodeid.rsplit("/", 1)[-1]


def pytest_collection_modifyitems(items):
    """Tell what there is; the answer is what is to be run."""
    say({"collected": [name_of(i.nodeid) for i in items]})
    with open(os.environ[RUN]) as f:
        todo = set(json.load(f))
    items[:] = [i for i in items if name_of(i.nodeid) in todo]


class Outcome:
    """Folds a test's three reports (setup, call, teardown) into one."""

    def __init__(self):
        self.states = {}

    def add(self, report):
        old = self.states.setdefault(report.nodeid, ["passed", "", 0])
        old[2] += report.duration
        if report.failed:
            old[0] = "failed"
            old[1] += report.longreprtext
        elif report.skipped and old[0] == "passed":
            old[0] = "skipped"
            old[1] = report.longrepr[2] if isinstance(
                report.longrepr, tuple) else str(report.longrepr)

    def done(self, nodeid):
        state, why, seconds = self.states.pop(nodeid, ["failed", "no report",
                                                       0])
        say({"name": name_of(nodeid), "state": state, "why": why,
             "seconds": round(seconds, 2)})


outcome = Outcome()


def pytest_runtest_logreport(report):
    outcome.add(report)


@pytest.hookimpl(trylast=True)
def pytest_runtest_logfinish(nodeid):
    outcome.done(nodeid)
