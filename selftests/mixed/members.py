# SPDX-License-Identifier: GPL-2.0-or-later
"""The servers of an ensemble, each of its own kind in its own namespace."""

import os
import shutil
import signal
import time

import net as network
from zktest import proc, server

CLIENT_PORT, QUORUM_PORT, ELECTION_PORT = 2181, 2888, 3888
LINEARIZABLE = "zkern.linearizableReads"
# 3.8.0 refuses to start on its own files when it was killed between the snapshot
# that its leader sent and currentEpoch (QuorumPeer.loadDataBase())
REFUSES = "is older than the last zxid"
LETTERS = {"a": server.ApacheServer, "m": server.ZkerndServer}


def member(letter, n, config_of, net, data_dir=None):
    """Server n of an ensemble: a server.Server that lives in namespace n."""
    base = LETTERS[letter]

    class Member(base):
        start_timeout = 120
        number = n
        letter_ = letter
        fresh = False           # it promises that of reads

        def __init__(self):
            super().__init__(data_dir=data_dir)
            self.host = network.address(n)
            self.port = CLIENT_PORT
            self.paused = False
            with open(os.path.join(self.data_dir, "myid"), "w") as f:
                f.write("%d\n" % n)

        def config(self):
            keys = super().config()
            keys.pop("clientPortAddress")
            keys.update(config_of())
            return keys

        def command(self, cfg):
            cmd = super().command(cfg)
            if self.kind == "apache":       # its elections, what leaders send
                cmd.insert(1, "-Dorg.slf4j.simpleLogger.log.org.apache."
                           "zookeeper.server.quorum=info")
            return net.inside(n, cmd)

        def pause(self):
            proc.kill_group(self.proc, signal.SIGSTOP)
            self.paused = True

        def go_on(self):
            if self.paused and self.alive():
                proc.kill_group(self.proc, signal.SIGCONT)
            self.paused = False

        def emptied(self):
            """If it has ended as it refused its own files: starts it without
            them, as its operator would. True: so it was."""
            if (letter != "a" or self.alive() or
                    REFUSES not in self.log_text(6000)):
                return False
            shutil.rmtree(os.path.join(self.data_dir, "version-2"))
            self.spawn()
            return True

        def mode(self):
            """leader, follower, observer; None: it does not serve."""
            if self.paused or not self.alive():
                return None
            return super().mode(timeout=2)

        def serving(self):
            return self.mode() is not None

    return Member()


class Ensemble:
    """letters: one for each server, "a" Apache ZooKeeper, "m" zkernd."""

    def __init__(self, letters, net, config=None):
        self.extra = config or {}
        self.net = net
        self.all = []
        self.n = len(letters)
        for i, c in enumerate(letters, 1):
            s = member(c, i, self.keys, net)
            s.fresh = c == "m" and self.extra.get(LINEARIZABLE) == "yes"
            self.all.append(s)

    def keys(self):
        keys = {"initLimit": "20", "syncLimit": "6",
                "maxSessionTimeout": "40000"}
        for i in range(1, self.n + 1):
            keys["server.%d" % i] = "%s:%d:%d" % (
                network.address(i), QUORUM_PORT, ELECTION_PORT)
        keys.update(self.extra)
        return keys

    def start(self):
        """All of them, the last one (who wins the first election) as well."""
        for s in self.all:
            s.spawn()
        for s in self.all:
            s.wait_ready()
        return self

    def leader(self):
        """The one that leads, or None."""
        for s in self.all:
            if s.mode() == "leader":
                return s
        return None

    def heal(self):
        """All up, all links whole, one leader and the others with it. Who had
        to be emptied for that."""
        self.net.mend()
        emptied = set()
        for s in self.all:
            s.go_on()
            if not s.alive():
                s.spawn()
        end = time.monotonic() + 180
        while True:
            modes = [s.mode() for s in self.all]
            if None not in modes and modes.count("leader") == 1:
                return emptied
            # one without files must not have a voice in who leads
            if "leader" in modes:
                emptied.update(s.number for s in self.all if s.emptied())
            if time.monotonic() > end:
                raise TimeoutError("the ensemble does not heal: %s\n%s" % (
                    modes, "\n".join(s.log_text(3000) for s in self.all)))
            time.sleep(0.1)

    def remove(self):
        for s in self.all:
            s.go_on()
            s.remove()
