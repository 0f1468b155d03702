# SPDX-License-Identifier: GPL-2.0-or-later
"""What the words and commands say on a leader, a follower and an observer: the same
ensemble of Apache ZooKeeper and of zkernd, compared."""

import json
import re
import urllib.request

from zktest import proc, wire
from zktest.ensemble import Ensemble

ROLES = "leader", "follower", "observer"
# of the JVM; of each learner's own queue, which is not measured here
NOT_OURS = re.compile(r"zk_(\w+_)?(jvm_pause_time_ms|netty_queued_buffer_capacity|"
                      r"zookeeper_write_per_namespace|\d+_learner_handler_qp_\w+)$")
OURS = re.compile(r"zk_zkern_")


def wrap(s):
    """Gives server s an admin port."""
    s.admin = proc.free_port()
    config = s.config
    s.config = lambda: dict(config(), **{"admin.serverPort": str(s.admin)})


def command(s, name):
    url = "http://127.0.0.1:%d/commands/%s" % (s.admin, name)
    with urllib.request.urlopen(url, timeout=30) as f:
        return json.load(f)


def plain(x, names):
    """x with each port by what it is for."""
    if isinstance(x, dict):
        return {k: plain(v, names) for k, v in x.items()}
    if isinstance(x, list):
        return [plain(v, names) for v in x]
    if isinstance(x, int) and not isinstance(x, bool):
        return names.get(str(x), x)
    if isinstance(x, str):
        return re.sub(r":(\d+)$", lambda m: ":" + names.get(m[1], m[1]), x)
    return x


def say(ens, s):
    """What server s says, without what differs by chance."""
    names = {}
    for n, line in ens.lines.items():
        quorum, election = line.split(":")[1:3]
        whose = "my " if n == "server.%d" % s.number else "another's "
        names[quorum], names[election] = whose + "quorum", whose + "election"
    names[str(s.port)] = "my clients'"
    view = plain(command(s, "voting_view"), names)
    mine = view["current_config"].pop(str(s.number), None)
    zab = plain(command(s, "zabstate"), names)
    for key in "myid", "last_zxid", "zab_counter":
        check_there(zab, key)
        del zab[key]
    mntr = s.four_letter("mntr")
    keys = {x.split("\t")[0] for x in mntr.splitlines() if "\t" in x}
    return {
        "voting_view, own": mine,
        "voting_view, others": sorted(map(str, view["current_config"].values())),
        "zabstate": zab,
        "mntr": sorted(k for k in keys if not NOT_OURS.match(k) and
                       not OURS.match(k)),
    }


def check_there(d, key):
    if key not in d:
        raise AssertionError("no %s in %s" % (key, d))


def figures(s):
    return dict(x.split("\t") for x in s.four_letter("mntr").splitlines()
                if "\t" in x)


def figures_right(leader, observer, number):
    """Counted anew twice a tick."""
    return (int(leader["zk_leader_uptime"]) > 0 and
            leader["zk_pending_syncs"] == "0" and
            leader["zk_synced_followers"] == "2" and
            leader["zk_synced_observers"] == "1" and
            observer["zk_observer_master_id"] == str(number))


def live(kind):
    """{role: what it says}"""
    with Ensemble([kind, kind, kind, "!" + kind],
                  {"admin.enableServer": "true", "4lw.commands.whitelist": "*",
                   "admin.serverAddress": "127.0.0.1"}) as ens:
        for s in ens:
            wrap(s)
        ens.start()
        # nothing of the begin is under way any more
        c = wire.Client(ens[1].host, ens[1].port)
        if c.call(wire.CREATE, wire.b_create("/x")).err:
            raise AssertionError("create")
        c.close_session()
        ens.wait_equal()
        by_role = {s.mode(): s for s in ens}
        said = {role: say(ens, by_role[role]) for role in ROLES}
        if kind != "apache":
            proc.wait_for(lambda: figures_right(
                figures(by_role["leader"]), figures(by_role["observer"]),
                by_role["leader"].number), 60, "figures of leader and observer")
    return said


def run(tap):
    """Gives RESULTS results."""
    try:
        theirs, ours = live("apache"), live("memory")
    except Exception as e:
        for _ in range(RESULTS):
            tap.ok(False, "members: the ensembles run", e)
        return
    for role in ROLES:
        for what in "voting_view, own", "voting_view, others", "zabstate", "mntr":
            a, b = theirs[role][what], ours[role][what]
            tap.ok(a == b, "members: %s: %s" % (role, what),
                   "3.8: %s\nhere: %s" % (a, b))


RESULTS = len(ROLES) * 4
