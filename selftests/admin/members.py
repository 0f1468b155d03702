# SPDX-License-Identifier: GPL-2.0-or-later
"""What the words and commands say on a leader, a follower and an observer: the same
ensemble of Apache ZooKeeper and of zkernd, compared."""

import json
import re
import urllib.request

from zktest import proc, wire
from zktest.ensemble import Ensemble

ROLES = "leader", "follower", "observer"
PROMETHEUS = "org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider"
# of the JVM
NOT_OURS = re.compile(r"zk_(\w+_)?(jvm_pause_time_ms|netty_queued_buffer_capacity)$")
OURS = re.compile(r"zk_zkern_")
OF_SERVER = re.compile(r"_\d+_(learner_handler_qp|ack_latency)")
WRITES = 20
# What that many writes add: what each role counts, and (0) what it leaves to others.
COUNTED = {
    "leader": {
        "proposal_count": WRITES, "commit_count": WRITES, "request_commit_queued": WRITES,
        "cnt_quorum_ack_latency": WRITES, "cnt_propagation_latency": WRITES,
        "cnt_local_write_committed_time_ms": WRITES, "cnt_write_commitproc_time_ms": WRITES,
        "cnt_write_final_proc_time_ms": WRITES, "learner_proposal_received_count": 0,
        "learner_commit_received_count": 0, "cnt_proposal_latency": 0,
        "cnt_commit_propagation_latency": 0, "cnt_learner_request_processor_queue_size": 0},
    "follower": {
        "learner_proposal_received_count": WRITES, "learner_commit_received_count": WRITES,
        "cnt_proposal_latency": WRITES, "cnt_commit_propagation_latency": WRITES,
        "request_commit_queued": WRITES, "cnt_propagation_latency": WRITES,
        "cnt_write_final_proc_time_ms": WRITES, "proposal_count": 0, "commit_count": 0,
        "cnt_quorum_ack_latency": 0, "prep_processor_request_queued": 0,
        "outstanding_changes_queued": 0},
    "observer": {
        "learner_commit_received_count": WRITES, "cnt_commit_propagation_latency": WRITES,
        "request_commit_queued": WRITES, "cnt_propagation_latency": WRITES,
        "cnt_write_final_proc_time_ms": WRITES, "learner_proposal_received_count": 0,
        "cnt_proposal_latency": 0, "cnt_proposal_ack_creation_latency": 0,
        "prep_processor_request_queued": 0, "outstanding_changes_queued": 0},
}
# What the begin of an ensemble has left.
ONCE = {
    "leader": ("looking_count", "cnt_election_time", "cnt_unavailable_time",
               "cnt_leader_unavailable_time", "cnt_proposal_ack_creation_latency",
               "cnt_write_commit_proc_issued", "cnt_commit_process_time"),
    "follower": ("looking_count", "cnt_election_time", "cnt_unavailable_time",
                 "cnt_follower_sync_time", "cnt_proposal_ack_creation_latency",
                 "cnt_learner_request_processor_queue_size"),
    "observer": ("looking_count", "cnt_unavailable_time", "cnt_observer_sync_time",
                 "cnt_learner_request_processor_queue_size"),
}


def wrap(s, more):
    """Gives server s an admin port and one for Prometheus."""
    s.admin, s.metrics = proc.free_port(), proc.free_port()
    config = s.config
    s.config = lambda: dict(config(), **dict({"admin.serverPort": str(s.admin)}, **{
        k: v.replace("@", str(s.metrics)) for k, v in more.items()}))


def command(s, name):
    url = "http://127.0.0.1:%d/commands/%s" % (s.admin, name)
    with urllib.request.urlopen(url, timeout=30) as f:
        return json.load(f)


def commands(s):
    """Those of the index whose answers have the same keys whoever it is that answers."""
    with urllib.request.urlopen("http://127.0.0.1:%d/commands" % s.admin, timeout=30) as f:
        names = re.findall(r'href="/commands/(\w+)"', f.read().decode())
    return sorted(set(names) - {"environment", "monitor", "system_properties",
                                "set_trace_mask", "stat_reset", "voting_view"})


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
    keys = {OF_SERVER.sub(r"_N_\1", k) for k in figures(s)}
    return {
        "commands": {c: sorted(command(s, c)) for c in commands(s)},
        "words": {w: sorted({re.split("[:=]", x)[0] for x in s.four_letter(w).splitlines()
                             if not x.startswith(" ")})
                  for w in ("srvr", "stat", "conf", "dirs", "isro")},
        "system_properties": sorted(
            k for k in command(s, "system_properties") if k.startswith("zookeeper.")),
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


def write(s, n):
    c = wire.Client(s.host, s.port)
    for _ in range(n):
        if c.call(wire.SET_DATA, wire.b_set_data("/x", b"y")).err:
            raise AssertionError("setData")
    return c


def counted(ens, by_role):
    """What writes by clients of each role's server add, and what was there already."""
    clients = [write(by_role[role], 1) for role in ROLES]
    ens.wait_equal()
    before = {role: figures(by_role[role]) for role in ROLES}
    for i in range(WRITES):
        if clients[i % len(clients)].call(wire.SET_DATA,
                                          wire.b_set_data("/x", b"z")).err:
            raise AssertionError("setData")
    ens.wait_equal()
    after = {role: figures(by_role[role]) for role in ROLES}
    for c in clients:
        c.close()
    added = {role: {k: int(after[role]["zk_" + k]) - int(before[role]["zk_" + k])
                    for k in COUNTED[role]} for role in ROLES}
    once = {role: [k for k in ONCE[role] if after[role]["zk_" + k] == "0"]
            for role in ROLES}
    # one acknowledgement of each server at the least, and of nobody else
    acks = sorted(k for k in after["leader"] if k.endswith("_ack_latency") and
                  re.match(r"zk_cnt_\d", k) and after["leader"][k] != "0")
    return added, once, len(acks)


def page(s):
    """Prometheus' page as {name{labels}: value}."""
    with urllib.request.urlopen("http://127.0.0.1:%d/metrics" % s.metrics, timeout=30) as f:
        return dict(x.rsplit(" ", 1) for x in f.read().decode().splitlines()
                    if not x.startswith("#"))


def scraped(by_role):
    """What is wrong with the quantiles of the last minutes."""
    lead, wrong = by_role["leader"], []
    pages = {role: page(by_role[role]) for role in ROLES}

    def look(role, name, seen):
        value = pages[role].get(name, "none")
        if value == "none" or (value == "NaN") == seen:
            wrong.append((role, name, value))
    for role in ROLES:
        s = by_role[role]
        look(role, 'quorum_ack_latency{quantile="0.99",}', role == "leader")
        look(role, 'proposal_latency{quantile="0.9",}', role == "follower")
        look(role, 'commit_propagation_latency{quantile="0.5",}', role != "leader")
        look(role, 'election_time{quantile="0.5",}', role != "observer")
        look(role, 'write_per_namespace{key="x",quantile="0.5",}', True)
        if s is not lead:
            look("leader", 'learner_handler_qp_size{key="%d",quantile="0.5",}' % s.number,
                 True)
            look("leader", 'learner_handler_qp_time_ms{key="%d",quantile="0.99",}' %
                 s.number, True)
    acks = [k for k, v in pages["leader"].items() if v != "NaN" and
            re.match(r'ack_latency\{key="\d+",quantile="0.9",\}', k)]
    if len(acks) < 2:
        wrong.append(acks)
    return wrong


def observed(ens, by_role):
    """What the leader says of its observer; after writes there, and after orst."""
    lead, obs = by_role["leader"], by_role["observer"]
    write(obs, 3).close()
    ens.wait_equal()

    def one():
        answer = command(lead, "observers")
        if answer["synced_observers"] != len(answer["observers"]):
            raise AssertionError(answer)
        return answer["observers"] and answer["observers"][0]
    proc.wait_for(one, 60, "an observer that is synced")
    first = one()

    def anew():
        """Before as many pings went out as there were packets."""
        command(lead, "observer_connection_stat_reset")
        answer = one()
        return answer["packets_sent"] < first["packets_sent"] and answer
    second = proc.wait_for(anew, 60, "packets to be counted anew")
    return {
        "keys": sorted(first),
        "sid": first["sid"] == obs.number,
        "address": bool(re.match(r"/127\.0\.0\.1:\d+$", first["remote_socket_address"])),
        "counts": first["requests"] >= 3 and first["packets_received"] >= 3 and
                  first["packets_sent"] >= 3,
        "zxid": first["last_zxid"] > 1 << 32,
        "anew": second["requests"] == 0,
        "established": second["established"] == first["established"] > 1 << 40,
        "learners": [command(by_role[r], "observers")["synced_observers"]
                     for r in ("follower", "observer")],
    }


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
                   "leader.ackLoggingFrequency": "1",
                   "admin.serverAddress": "127.0.0.1"}) as ens:
        for s in ens:
            wrap(s, {} if kind == "apache" else {
                "metricsProvider.className": PROMETHEUS,
                "metricsProvider.httpPort": "@",
                "metricsProvider.httpHost": "127.0.0.1"})
        ens.start()
        # nothing of the begin is under way any more
        c = wire.Client(ens[1].host, ens[1].port)
        if c.call(wire.CREATE, wire.b_create("/x")).err:
            raise AssertionError("create")
        c.close_session()
        ens.wait_equal()
        by_role = {s.mode(): s for s in ens}
        added, once, acks = counted(ens, by_role)
        said = {role: say(ens, by_role[role]) for role in ROLES}
        for role in ROLES:
            said[role]["counts"] = added[role]
            said[role]["counts of the begin"] = once[role]
        said["leader"]["servers that acknowledge"] = acks >= 2
        said["leader"]["observers"] = observed(ens, by_role)
        if kind != "apache":
            proc.wait_for(lambda: figures_right(
                figures(by_role["leader"]), figures(by_role["observer"]),
                by_role["leader"].number), 60, "figures of leader and observer")
            said["scraped"] = scraped(by_role)
    return said


def run(tap):
    """Gives RESULTS results."""
    try:
        theirs = tap.control(["apache"], lambda _: live("apache"))
        ours = live("memory")
    except Exception as e:
        for _ in range(RESULTS):
            tap.ok(False, "members: the ensembles run", e)
        return
    for role in ROLES:
        for what in WHAT + (OF_LEADER if role == "leader" else ()):
            a, b = theirs[role][what], ours[role][what]
            tap.ok(a == b, "members: %s: %s" % (role, what),
                   "3.8: %s\nhere: %s" % (a, b))
        tap.ok(ours[role]["counts"] == COUNTED[role] and
               not ours[role]["counts of the begin"],
               "members: %s: counts, as they should be" % role,
               "%s" % ours[role])


    tap.ok(not ours["scraped"], "members: Prometheus' pages", ours["scraped"])


WHAT = ("voting_view, own", "voting_view, others", "zabstate", "commands", "words",
        "system_properties", "mntr", "counts", "counts of the begin")
OF_LEADER = "servers that acknowledge", "observers"
RESULTS = len(ROLES) * (len(WHAT) + 1) + len(OF_LEADER) + 1
