# SPDX-License-Identifier: GPL-2.0-or-later
"""A run of all of Curator's recipes, as Debian ships them (libcurator-*-java),
by the scripts in curator/, which drive the Java classes from Python.

Upstream's own tests are Java source that no Debian package holds compiled;
these scripts are ours.
"""

import importlib.util
import json
import os
import subprocess
import sys
import threading

from zktest import proc
from zktest.tap import Skip

NAME = "curator"
HERE = os.path.dirname(os.path.abspath(__file__))
CONFIG = {"extendedTypesEnabled": "true"}
SLOW = ()
JARS = ("curator-client", "curator-framework", "curator-recipes",
        "curator-x-discovery", "jackson-databind")
TEST_SECONDS = 240      # for one script


def prepare():
    if not importlib.util.find_spec("jpype"):
        raise Skip("no Python module jpype")
    for j in JARS:
        if not os.path.exists("/usr/share/java/%s.jar" % j):
            raise Skip("no %s.jar" % j)


def run(job, only):
    """The scripts in a process of their own, which is ended if one of them
    does not come to an end."""
    env = job.environment()
    env["PYTHONPATH"] = os.pathsep.join(
        (HERE, os.path.join(HERE, "..", "lib")))
    env["PYTHONDONTWRITEBYTECODE"] = "1"
    log_path = os.path.join(proc.temp_dir("curator-"), "log")
    with open(log_path, "wb") as log:
        p = proc.spawn([sys.executable, os.path.join(HERE, "curator",
                                                     "main.py")],
                       env=env, stdin=subprocess.PIPE,
                       stdout=subprocess.PIPE, stderr=log)
    names = json.loads(p.stdout.readline())
    job.collected(names)
    todo = only if only is not None else [n for n in names if job.wanted(n)]
    p.stdin.write((json.dumps(todo) + "\n").encode())
    p.stdin.close()
    for name in todo:
        late = threading.Timer(TEST_SECONDS, proc.kill_group, (p,))
        late.start()
        line = p.stdout.readline()
        late.cancel()
        if not line:
            break
        got = json.loads(line)
        job.result(got["name"], got["state"], got["why"], got["seconds"])
    if not proc.wait_exit(p, 60):
        proc.kill_group(p)
        proc.wait_exit(p, 30)
    if p.returncode:
        with open(log_path, errors="replace") as log:
            job.tap.ok(False, job.title("the scripts' process"),
                       "status %s\n%s" % (p.returncode, log.read()[-6000:]))
