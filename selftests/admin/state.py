# SPDX-License-Identifier: GPL-2.0-or-later
"""The state that is looked at: sessions, nodes, ephemerals, watches of each kind.

What it does between the two looks at mntr (.before, .after) is known to the
request, so the counters' differences can be compared.
"""

import re

from zktest import wire
from zktest.wire import Client

TIMEOUT = 600000    # of the sessions: nothing here may take so long


class State:
    """Made on a server that is fresh.  Clients stay connected: .a .b .c"""

    def __init__(self, server):
        self.server = server
        self.before = server.mntr()
        self.a = self.client()
        self.b = self.client()
        a, b = self.a, self.b
        self.ok(a, wire.CREATE, wire.b_create("/app", b"hello"))
        self.ok(a, wire.CREATE, wire.b_create("/app/one", b"1"))
        self.ok(a, wire.CREATE, wire.b_create("/other", b""))
        for i in range(3):
            self.ok(b, wire.CREATE, wire.b_create(
                "/app/e%d" % i, b"x" * i, flags=wire.EPHEMERAL))
        self.ok(a, wire.CREATE, wire.b_create(
            "/other/mine", b"", flags=wire.EPHEMERAL))
        self.ok(a, wire.GET_DATA, wire.b_path_watch("/app", True))
        self.ok(b, wire.GET_DATA, wire.b_path_watch("/app", True))
        self.ok(b, wire.EXISTS, wire.b_path_watch("/app/none", True),
                wire.NO_NODE)
        self.ok(b, wire.GET_CHILDREN, wire.b_path_watch("/app", True))
        self.ok(a, wire.GET_CHILDREN2, wire.b_path_watch("/other", False))
        self.ok(a, wire.ADD_WATCH, wire.b_path_int(
            "/app/one", wire.MODE_PERSISTENT))
        self.ok(a, wire.ADD_WATCH, wire.b_path_int(
            "/other", wire.MODE_RECURSIVE))
        # fires: two data watches (then gone), a persistent one, a child one
        self.ok(b, wire.SET_DATA, wire.b_set_data("/app", b"hello again"))
        self.ok(b, wire.SET_DATA, wire.b_set_data("/app/one", b"2"))
        self.ok(b, wire.CREATE, wire.b_create("/other/x", b"y"))
        self.ok(b, wire.DELETE, wire.b_path_int("/app/e0", -1))
        self.ok(a, wire.GET_DATA, wire.b_path_watch("/app", True))
        self.ok(b, wire.GET_DATA, wire.b_path_watch("/other/x", True))
        self.ok(a, wire.GET_DATA, wire.b_path_watch("/missing", False),
                wire.NO_NODE)
        # enough for the digests of zxids 128 and 256
        for i in range(260):
            self.ok(a, wire.SET_DATA, wire.b_set_data("/app/one", b"%d" % i))
        # one that ends its session, one that just goes
        self.client().close_session()
        gone = self.client()
        gone.close()
        self.gone = gone.sid
        self.c = self.client()
        self.after = self.settled()

    def client(self):
        return Client(self.server.host, self.server.port, TIMEOUT)

    def ok(self, c, op, body, err=wire.OK):
        got = c.call(op, body).err
        if got != err:
            raise AssertionError("operation %d: error %d" % (op, got))

    def settled(self):
        """mntr when the connections that went are gone: a, b, c and the
        one that asks."""
        from zktest.proc import wait_for

        def look():
            m = self.server.mntr()
            return m if m["num_alive_connections"] == "4" else None
        return wait_for(look, 60, "connections to end")

    def names(self):
        """Session ids as other servers call them."""
        return {self.a.sid: "A", self.b.sid: "B", self.c.sid: "C",
                self.gone: "D"}

    def plain(self, text):
        """Text without what differs from server to server."""
        for sid, name in self.names().items():
            text = text.replace("%x" % sid, name).replace(str(sid), name)
        text = text.replace(self.server.config()["dataDir"], "DIR")
        text = text.replace(str(self.server.config()["clientPort"]), "PORT")
        text = re.sub(r"/[0-9.]+:\d{4,5}\b", "/IP:PORT", text)
        return re.sub(r'"[0-9.]+:\d{4,5}"', '"IP:PORT"', text)
