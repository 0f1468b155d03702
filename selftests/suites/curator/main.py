# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the Curator scripts against the server behind control.py.

Standard output: first a JSON list of the scripts' names; standard input is
answered by the list of those to be run; then a JSON line for each.
"""

import json
import sys
import time
import traceback
import zipfile

import base
import caches
import counters
import framework
import leaders
import locks
import nodes
import queues

MODULES = (locks, leaders, counters, caches, queues, nodes, framework)

# Recipes' classes that there is nothing of a server in, or nothing but what
# others use of it.
NOT_RECIPES = {
    "leader.CancelLeadershipException": "thrown by a client's own listener",
    "leader.LeaderSelectorListenerAdapter": "a base class for Java",
    "leader.Participant": "given out by LeaderLatch",
    "atomic.AtomicStats": "given out by the atomic numbers",
    "locks.PredicateResults": "the locks' own",
    "locks.StandardLockInternalsDriver": "the locks' own",
    "queue.QueueSafety": "the queues' own",
    "cache.DefaultTreeCacheSelector": "TreeCache's own",
}
COVERED = "every-recipe-is-used"


def scripts():
    out = {}
    for m in MODULES:
        for name, f in vars(m).items():
            if name.startswith("t_"):
                out["%s-%s" % (m.__name__, name[2:].replace("_", "-"))] = f
    return out


def unused_recipes():
    """Public classes of the recipes that are made by whoever uses them (by
    a constructor or builder), and that no script asked for."""
    prefix = base.RECIPES.replace(".", "/")
    missing = []
    with zipfile.ZipFile(base.JAVA + "curator-recipes.jar") as z:
        names = [n[len(prefix):-6].replace("/", ".") for n in z.namelist()
                 if n.startswith(prefix) and n.endswith(".class") and
                 "$" not in n]
    modifier = base.java("java.lang.reflect.Modifier")
    for n in names:
        c = base.java(base.RECIPES + n).class_
        made = c.getConstructors() or any(
            str(m.getName()) in ("builder", "build") and
            modifier.isStatic(m.getModifiers()) for m in c.getMethods())
        if modifier.isPublic(c.getModifiers()) and made and \
                not c.isInterface() and n not in base.used and \
                n not in NOT_RECIPES and not is_value(c):
            missing.append(n)
    return missing


def is_value(c):
    """What recipes hand out: events, data, exceptions."""
    return str(c.getSimpleName()).endswith(("Event", "Exception", "Data")) or \
        base.java("java.lang.Throwable").class_.isAssignableFrom(c)


def every_recipe_is_used(_x):
    missing = unused_recipes()
    assert not missing, "not used by any script: " + " ".join(missing)


def run(name, f):
    x = base.X(name)
    begin = time.monotonic()
    state, why = "passed", ""
    try:
        f(x)
    except BaseException as e:
        state, why = "failed", traceback.format_exc()
        if hasattr(e, "stacktrace"):
            why += e.stacktrace()
    try:
        x.finish()
    except Exception:
        state, why = "failed", why + traceback.format_exc()
    return {"name": name, "state": state, "why": why,
            "seconds": round(time.monotonic() - begin, 2)}


def main():
    all_ = scripts()
    all_[COVERED] = every_recipe_is_used
    out = sys.stdout
    sys.stdout = sys.stderr
    print(json.dumps(list(all_)), file=out, flush=True)
    todo = json.loads(sys.stdin.readline())
    base.start_jvm()
    for name in todo:
        print(json.dumps(run(name, all_[name])), file=out, flush=True)
    out.flush()
    # threads of the JVM that a failed script left behind keep nothing up
    sys.stderr.flush()
    import os
    os._exit(0)


if __name__ == "__main__":
    main()
