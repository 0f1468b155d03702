# SPDX-License-Identifier: GPL-2.0-or-later
"""Bugs to put into the machine, one at a time: the simulator must find each.

A bug is an edit of a file of daemon/, or of several; the edited files are compiled
and linked before the library, whose own objects are then left out.  An edit that does
not fit the source any more is an error: then it has to be written anew.
"""
import os
import shlex
import subprocess
import sys
import tempfile

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
BUILD = os.environ.get("BUILD", os.path.join(TOP, "build"))

# name; file, what stands there, what to put there; and so on
BUGS = [
    ("acknowledge before it is on the disk", "daemon/zab/learner.c",
     "win_at(&z->w, i)->zxid <= z->durable; i++)",
     "true; i++)"),
    ("a follower counts its own epoch wrongly", "daemon/zab/learner.c",
     "		current = zab_standing(z);\n",
     "		current = z->accepted - 1;\n"),
    ("commit by count, whatever epoch it is of", "daemon/zab/leader.c",
     "	return l->stage >= STAGE_ACKED;\n",
     "	return l->stage >= STAGE_EPOCH;\n"),
    ("no truncation", "daemon/zab/sync.c",
     "return (struct plan){ .op = ZP_TRUNC, .zxid = prev, .from = i };",
     "return (struct plan){ .op = ZP_DIFF, .zxid = last, .from = i };"),
    ("NEWLEADER acknowledged before the epoch is written down",
     "daemon/zab/learner.c",
     "	if (z->current != z->epoch)\n"
     "		zab_emit(z, ZAB_DO_SAVE_CURRENT)->zxid = z->epoch;\n",
     "",
     # else the log tells of the epoch as well, which 3.8 does not ask
     "daemon/zab/zab.c",
     "	return z->current > logged ? z->current : logged;\n",
     "	(void)logged;\n	return z->current;\n"),
    ("one less than a majority is a quorum", "daemon/zab/leader.c",
     "	return ensemble_quorum(z->e, &s) &&\n",
     "	return __builtin_popcountll(s.bits[0]) >= (int)(ensemble_voters(z->e) / 2) &&\n"),
    ("NEWLEADER acknowledged before the history is on the disk",
     "daemon/zab/learner.c",
     "!fo->newleader || z->durable < fo->target ||",
     "!fo->newleader ||"),
    ("reads do not wait for a sync", "daemon/zab/handler.c",
     "u64 zxid = zab_outstanding(z) ? z->last : z->committed;",
     "u64 zxid = z->committed;"),
    ("a read does not wait until a quorum has answered",
     "daemon/zab/confirm.c",
     "!leader_quorum(z, has_answered, z->cf.round)))",
     "false))"),
    ("an answer to any PING confirms who leads", "daemon/zab/confirm.c",
     "l->round == round && l->pongs >= l->round_ping;",
     "l->pongs;"),
    ("a learner's read waits for what it has itself",
     "daemon/server/confirm.c",
     "	r->round = wanted ? zab_confirm(c->zab) : 0;\n",
     "	r->round = !wanted || !c->leading ? 0 : zab_confirm(c->zab);\n"
     "	if (!r->round && !cl->kept)\n		return false;\n"
     "	if (!r->round)\n		wanted = false;\n"),
    ("a change of the members is agreed on by the old ones alone", "daemon/zab/leader.c",
     "	       (!both || !z->next || ensemble_quorum(z->next, &s));",
     "	       (both || true);"),
    ("a learner takes the new members for the ones in force when they are proposed",
     "daemon/zab/learner.c",
     "		members_seen(z, e);\n	}\n	win_push(&z->w, t);\n",
     "		members_seen(z, e);\n		if (z->next)\n"
     "			members_adopt(z, z->next);\n	}\n	win_push(&z->w, t);\n"),
    ("a leader takes the new members for the ones in force when it proposes them",
     "daemon/zab/leader.c",
     "	members_seen(z, e);\n	return 0;\n",
     "	members_seen(z, e);\n	members_adopt(z, z->next);\n	return 0;\n"),
    ("observers are counted as voters are", "daemon/zab/ensemble.c",
     "have += !e->peers[i].observer && idset_has(s, e->peers[i].id);",
     "have += idset_has(s, e->peers[i].id);"),
    ("observers are told of what is not agreed yet", "daemon/zab/leader.c",
     "		if (!handler_forwards(l) || l->observer)\n			continue;\n"
     "		zab_emit_txn(z, l->link, ZP_PROPOSAL, t);\n",
     "		if (!handler_forwards(l))\n			continue;\n"
     "		zab_emit_txn(z, l->link, l->observer ? ZP_INFORM : ZP_PROPOSAL, t);\n"),
    ("what is found in the log at start is committed", "daemon/zab/zab.c",
     "	/* what membership is proposed in it the files say, which were written before */\n",
     "	if (zab_room(z, ev->n_found, 0))\n		while (z->w.commit != z->w.end)\n"
     "			zab_commit_one(z);\n"),
    ("a tree that was built at start is shown at once", "daemon/server/core.c",
     "	c->hidden = c->outlives && cfg->ensemble && !rec->kept;\n",
     ""),
    ("a tree that came from a leader is shown at once", "daemon/server/quorum.c",
     "	c->hidden = c->outlives;\n	rc = disk_reload(",
     "	rc = disk_reload("),
    ("a failed fsync does not matter", "daemon/server/core.c",
     "		quorum_disk_failed(c);\n",
     "		;\n"),
    ("appending begins anew after a failed fsync", "daemon/server/core.c",
     "	rc = disk_retry(c->disk);\n",
     "	disk_retry(c->disk);\n	rc = 0;\n"),
]


def compiled(edit, where):
    """The object of a file with an edit in it."""
    path, old, new = edit
    with open(os.path.join(TOP, path)) as f:
        text = f.read()
    if text.count(old) != 1:
        raise ValueError("%s has not got the place (once): %r" % (path, old))
    src = os.path.join(where, os.path.basename(path))
    with open(src, "w") as f:
        f.write(text.replace(old, new))
    with open(os.path.join(BUILD, ".flags")) as f:
        flags = shlex.split(f.read())
    obj = src[:-1] + "o"
    subprocess.run(flags + ["-Wno-error", "-w", "-c", "-o", obj, src],
                   cwd=TOP, check=True)
    return flags[0], obj


def build(bug, where):
    """The simulator with the bug in it; gives its path."""
    made = [compiled(bug[i:i + 3], where) for i in range(1, len(bug), 3)]
    out = os.path.join(where, "sim")
    objs = os.path.join(BUILD, "obj/selftests/sim")
    libs = subprocess.run(["make", "-s", "sim-libs"], cwd=TOP, check=True,
                          capture_output=True, text=True).stdout.split()
    subprocess.run(
        [made[0][0], "-pthread", "-o", out] + [obj for _, obj in made] +
        [os.path.join(objs, c[:-1] + "o") for c in sorted(os.listdir(
            os.path.dirname(os.path.abspath(__file__)))) if c.endswith(".c")] +
        [os.path.join(BUILD, "libzkernd.a")] + libs, cwd=TOP, check=True)
    return out


def hunt(bug, seeds, step=20):
    """(seed, what was wrong) of the first that shows it, or None."""
    with tempfile.TemporaryDirectory(prefix="zkern-sim-") as where:
        sim = build(bug, where)
        for first in range(1, seeds, step):
            p = subprocess.run([sim, "--seed", str(first), "--count",
                                str(step)], capture_output=True, text=True)
            for line in p.stdout.splitlines():
                if line.startswith("# seed "):
                    return line[7:]
    return None


if __name__ == "__main__":
    for b in BUGS:
        if all(w in b[0] for w in sys.argv[1:]):
            print(b[0], "->", hunt(b, 3000), flush=True)
