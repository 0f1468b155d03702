# SPDX-License-Identifier: GPL-2.0-or-later
"""Ensembles that change while clients use them: server by server from Apache
ZooKeeper to zkernd, each on its own data directory, and back; a restart of one
after the other; an observer that joins."""

import os
import re
import time

import check
import load
import members
from zktest import proc, vm, wire


# long: what is looked at is that no server forgets a session, not how fast this
# machine starts three of them
SESSION_MS = 30000


class Clients:
    """Workers around a change; the history is checked at the end."""

    def __init__(self, servers, n, seed, values=0):
        self.stop = [float("inf")]
        self.workers = [load.Worker(i, servers, seed + i,
                                    lambda: self.stop[0], SESSION_MS)
                        for i in range(n)]
        for w in self.workers:
            w.values = values
            w.start()

    def rest(self):
        """They stop; each must have seen only what makes sense."""
        self.stop[0] = 0
        for w in self.workers:
            w.join(60)
            if w.broken:
                raise w.broken

    def end(self, e):
        self.rest()
        history = [op for w in self.workers for op in w.ops]
        check.check(history)
        check.check_end(history, [load.final(s) for s in e.all])
        lost = [x for w in self.workers for x in w.refusals]
        if lost:
            raise check.Violation("lost: " + "; ".join(lost))
        return len(history)


def replace(e, i, letter):
    """Server i ends in order; one of another kind goes on on its directory."""
    old = e.all[i]
    old.stop()
    new = members.member(letter, i + 1, e.keys, e.net, old.data_dir)
    e.all[i] = new
    new.spawn()
    e.heal()


def migrate_once(net, compare):
    e = members.Ensemble("aaa", net)
    at = "at the start"
    try:
        e.start()
        load.prepare(e.all[0])
        clients = Clients(e.all, 4, 1)
        time.sleep(1)
        for letter in "ma":
            for i in range(3):
                at = "server %d becomes %s" % (i + 1, letter)
                replace(e, i, letter)
                time.sleep(1)
        at = "at the end"
        clients.end(e)
        compare(e)
    except Exception as ex:
        raise check.Violation("%s\n%s: %s" % ("\n".join(
            "server %d (%s): %s" % (s.number, s.kind, s.log_text(3000))
            for s in e.all), at, ex)) from ex
    finally:
        e.remove()


def migrate(net, compare, tap, tries):
    """aaa -> mmm -> aaa under load; no client notices but by reconnecting.
    Apache's followers may forget when the leader ends: see one() in run."""
    for i in range(tries):
        try:
            return migrate_once(net, compare)
        except check.Violation as v:
            if i + 1 == tries:
                raise
            tap.diag("once more, since: %s" % v)


def rolling(net, compare, mix):
    """Each server ends and starts again, one after the other."""
    e = members.Ensemble(mix, net)
    try:
        e.start()
        load.prepare(e.all[0])
        clients = Clients(e.all, 4, 2)
        for s in e.all:
            time.sleep(1)
            s.stop()
            s.spawn()
            e.heal()
        n = clients.end(e)
        compare(e)
        return n
    finally:
        e.remove()


# Half of it passes between two heartbeats: longer than any of this takes, on
# whatever machine, and the time that who waits for one would take at least.
LONG_TICK_MS = 120000


def acked(clients):
    """When writes were answered, in order."""
    return sorted(op.done for w in clients.workers for op in list(w.ops)
                  if op.kind == "write" and op.done is not None)


def resigns(net, compare, mix, tap):
    """The leader is ended in order: it lets go, and the others have chosen
    another one, and take writes, before anybody could miss a heartbeat."""
    e = members.Ensemble(mix, net, {
        "tickTime": str(LONG_TICK_MS),
        "maxSessionTimeout": str(4 * LONG_TICK_MS)})
    try:
        e.start()
        load.prepare(e.all[0])
        clients = Clients(e.all, 4, 5)
        proc.wait_for(lambda: len(acked(clients)) > 20, 120, "writes")
        old = e.leader()
        if old is not e.all[-1]:
            raise check.Violation("server %d leads" % old.number)
        at = time.monotonic()
        if not old.stop():
            raise check.Violation("the leader does not end")
        until = at + LONG_TICK_MS / 2000
        proc.wait_for(e.leader, until - time.monotonic(),
                      "another one leads before the next heartbeat")
        seen = time.monotonic()
        proc.wait_for(lambda: acked(clients)[-1] > seen,
                      until - time.monotonic(),
                      "writes go on before the next heartbeat")
        done = acked(clients)
        pause = max(b - a for a, b in zip(done, done[1:]) if b > at)
        tap.diag("%s: a leader resigns: no write was answered for %.2f s" % (
            mix, pause))
        old.spawn()
        e.heal()
        clients.end(e)
        compare(e)
        if "this leader resigns" not in old.log_text(100000):
            raise check.Violation("it did not let go by itself")
    finally:
        e.remove()


def behind(net, compare):
    """Of "amm", a zkernd is elected by nobody but an Apache ZooKeeper that lacks
    transactions: it gets no history that it would log when it has the new epoch already,
    but the tree; and has all of it when it is killed at once."""
    e = members.Ensemble("amm", net)
    a, other, m = e.all

    def write(c):
        for i in range(50):
            if c.call(wire.SET_DATA, wire.b_set_data(load.key(0), b"%d" % i)).err:
                raise check.Violation("a write fails")

    try:
        e.start()
        load.prepare(m)
        a.stop()
        load.settled(m, write)
        other.stop()
        m.stop()
        before = len(m.log_text(1 << 30))
        for s in (a, m):
            s.spawn()
        for s in (a, m):
            s.wait_ready()
        a.kill()
        if not re.search(
                "follower 1 is at .*: SNAP", m.log_text(1 << 30)[before:]):
            raise check.Violation("no tree was sent:\n" + m.log_text())
        e.heal()
        if load.final(a)[load.key(0)][0] != "49":
            raise check.Violation("what was acknowledged is lost")
        compare(e)
    finally:
        e.remove()


class Observed(members.Ensemble):
    """The last server is an observer that the others' files do not know, as
    the README has it."""

    def keys(self):
        keys = super().keys()
        del keys["server.%d" % self.n]
        return keys

    def own(self):
        keys = super().keys()
        keys["server.%d" % self.n] += ":observer"
        keys["peerType"] = "observer"
        return keys

    def __init__(self, letters, net):
        super().__init__(letters, net)
        self.all[-1] = members.member(letters[-1], self.n, self.own, net)


def observe(net, compare, mix):
    """An observer joins an ensemble that has a history, and follows it."""
    e = Observed(mix, net)
    late = e.all[-1]
    try:
        for s in e.all[:-1]:
            s.spawn()
        for s in e.all[:-1]:
            s.wait_ready()
        load.prepare(e.all[0])
        clients = Clients(e.all[:-1], 3, 3)
        time.sleep(2)
        late.spawn()
        late.wait_ready()
        if late.mode() != "observer":
            raise check.Violation("its mode is %s" % late.mode())
        # it serves writes as well, by the leader
        own = Clients([late], 2, 7, 1000000)
        time.sleep(2)
        own.rest()
        for w in own.workers:
            if len(w.ops) < 10:
                raise check.Violation("it hardly answers: %d" % len(w.ops))
        clients.rest()
        history = [op._replace(client=(k, op.client))
                   for k, c in enumerate((clients, own))
                   for w in c.workers for op in w.ops]
        check.check(history)
        check.check_end(history, [load.final(s) for s in e.all])
        compare(e)
        return len(history)
    finally:
        e.remove()


def linearizable(host, servers):
    """What another server has answered, the device has, if it is asked to."""
    for i in range(12):
        s = servers[i % len(servers)]
        c = wire.Client(s.host, s.port)
        value = "by server %d, %d" % (s.number, i)
        f = c.call(wire.SET_DATA, wire.b_set_data("/reg-0", value.encode()))
        out = host.vm.must("zkern get --linearizable /reg-0").strip()
        c.close_session()
        if f.err or out != value:
            raise check.Violation("wrote %r (%d), the device says %r" % (
                value, f.err, out))


def restarts(host, servers):
    """Its zkernd ends, one way and the other, and comes back: reads by the
    device go on meanwhile, and no more is fetched than what is missing."""
    run = host.vm.must

    def reads():
        return int(run("wc -c </tmp/reads"))

    whole = "the leader sends its tree"
    before = host.log_text(1000000).count(whole)
    run("rm -f /tmp/enough; : >/tmp/reads; : >/tmp/lost; "
        "( while [ ! -e /tmp/enough ]; do zkern get /reg-0 >/dev/null "
        "2>>/tmp/lost && printf x >>/tmp/reads; done ) >/dev/null 2>&1 "
        "</dev/null &")
    for end, value in ((host.kill, "after a crash"), (host.stop, "in order")):
        end()
        c = wire.Client(servers[0].host, servers[0].port)
        c.call(wire.SET_DATA, wire.b_set_data("/reg-0", value.encode()))
        c.close_session()
        n = reads()
        proc.wait_for(lambda: reads() > n + 3, 60, "reads without zkernd")
        host.start()
        n = reads()
        if run("zkern get --linearizable /reg-0").strip() != value:
            raise check.Violation("it came back without what it missed")
        proc.wait_for(lambda: reads() > n + 3, 60, "reads go on")
    run("touch /tmp/enough")
    lost = run("cat /tmp/lost")
    if lost:
        raise check.Violation("reads failed: " + lost[:500])
    log = host.log_text(1000000)
    if log.count("has a tree at zxid") < 2:
        raise check.Violation("the tree was not taken up")
    if log.count(whole) != before:
        raise check.Violation("the whole tree was fetched again")


def local_reads(net, _compare):
    """The README's recipe on a host of its own, a VM: an observer of Apache
    ZooKeeper whose tree is in that kernel, read by the device."""
    e = members.Ensemble("aaa", net)
    base = e.keys

    class Host(vm.VmServer):
        def config(self):
            keys = super().config()
            keys.update(base())
            keys["peerType"] = "observer"
            keys["server.101"] = "localhost:2888:3888:observer"
            return keys

    host = None
    try:
        e.start()
        load.prepare(e.all[0])
        vm.Vm.options = ["--out"]
        host = Host()
        with open(os.path.join(host.data_dir, "myid"), "w") as f:
            f.write("101\n")
        host.start()
        clients = Clients(e.all, 2, 11)
        mine = wire.Client(host.host, host.port)
        for i in range(20):
            value = b"by the observer %d" % i
            f = mine.call(wire.SET_DATA, wire.b_set_data("/reg-0", value))
            if f.err:
                raise check.Violation("setData through it: %d" % f.err)
            out = host.vm.must("zkern get /reg-0")
            if i == 19 and "by the observer" not in out and "." not in out:
                raise check.Violation("the device says %r" % out)
        clients.rest()
        linearizable(host, e.all)
        restarts(host, e.all)
        mine.close()
        mine = wire.Client(host.host, host.port)
        f = mine.call(wire.SET_DATA, wire.b_set_data("/reg-0", b"the last"))
        mine.close_session()
        out = host.vm.must("zkern get /reg-0")
        if out.strip() != "the last":
            raise check.Violation("the device says %r" % out)
        if "observing" not in host.vm.must("zkern status"):
            raise check.Violation(host.vm.must("zkern status"))
        # the ensemble is gone: the device goes on, and says how it stands
        for s in e.all:
            s.kill()
        proc.wait_for(lambda: "disconnected" in
                      host.vm.must("zkern status").lower(), 60,
                      "it to notice: " + host.vm.must("zkern status"))
        if host.vm.must("zkern get /reg-0").strip() != "the last":
            raise check.Violation("nothing to be read without a leader")
        got = host.vm.run("zkern get --linearizable /reg-0")
        if got[0] != 7:
            raise check.Violation("no quorum can have been asked: %s" % (got,))
        for s in e.all:
            s.spawn()
        proc.wait_for(host.serving, 120, "it to serve again")
    except Exception:
        if host:
            print("# " + host.log_text(6000).replace("\n", "\n# "))
        raise
    finally:
        if host:
            host.remove()
        e.remove()
