# SPDX-License-Identifier: GPL-2.0-or-later
"""What the Curator scripts share: the JVM (in this process, by JPype), the
classes, clients that end with the script, threads that bring errors home.

A script is a function t_NAME(x) with an X: x.root is a path of its own,
x.client() a started CuratorFramework.  Nothing in them waits for a length of
time to pass but where the recipe's own timeout is the thing tested; everything
else waits for what is to be seen, up to WAIT seconds.
"""

import os
import sys
import threading
import time
import uuid

import jpype
from jpype import JClass, JImplements, JOverride

import control

JAVA = "/usr/share/java/"
JARS = ("org.jpype", "curator-client", "curator-framework", "curator-recipes",
        "curator-x-discovery", "zookeeper", "zookeeper-jute", "guava",
        "slf4j-api", "slf4j-nop", "jackson-core", "jackson-databind",
        "jackson-annotations")
CURATOR = "org.apache.curator."
RECIPES = CURATOR + "framework.recipes."

WAIT = 60               # seconds, for what must come
SHORT = 300             # milliseconds, for what must not
SESSION_MS = 40000      # Curator gives up a session by its own clock, too

used = set()            # the recipes' classes that scripts asked for


def start_jvm():
    """Start the JVM.  Once per process."""
    jars = [os.path.join(JAVA, j + ".jar") for j in JARS]
    for j in jars:
        if not os.path.exists(j):
            sys.exit("no " + j)
    jpype.startJVM("-Xmx256m", "-XX:+UseSerialGC",
                   "-XX:TieredStopAtLevel=1", classpath=jars,
                   convertStrings=True)


def java(name):
    return JClass(name)


def curator(name):
    return JClass(CURATOR + name)


def recipe(name):
    """A class of the recipes, say locks.InterProcessMutex."""
    used.add(name.split("$")[0])
    return JClass(RECIPES + name)


def units():
    return java("java.util.concurrent.TimeUnit").MILLISECONDS


def byte_array(b):
    return jpype.JArray(jpype.JByte)(bytes(b))


def from_bytes(a):
    return None if a is None else memoryview(a).tobytes()


def implement(interface, **methods):
    """An object of the Java interface (a name, or a class) from functions."""
    def make(name, f):
        def method(self, *args):
            return f(*args)
        method.__name__ = name
        return JOverride(method)
    cls = type("Impl", (), {n: make(n, f) for n, f in methods.items()})
    return JImplements(interface)(cls)()


def eq(got, want, what="value"):
    assert got == want, "%s: got %r, want %r" % (what, got, want)


def wait_for(cond, what, timeout=WAIT):
    """Wait until cond() is true, and give its value back.  what may be a
    function, asked when it is too late."""
    end = time.monotonic() + timeout
    while True:
        v = cond()
        if v:
            return v
        assert time.monotonic() < end, "waited %d s for %s" % (
            timeout, what() if callable(what) else what)
        time.sleep(0.02)


def raises(name, f, *args):
    """f must raise the Java exception whose class name ends with name."""
    try:
        f(*args)
    except jpype.JException as e:
        got = type(e).__name__
        assert got.endswith(name), "%s instead of %s" % (got, name)
        return e
    raise AssertionError("no %s" % name)


class Background:
    """f() in a thread; result() waits for it and gives its value or error."""

    def __init__(self, f, *args):
        self.value = self.error = None
        self.thread = threading.Thread(target=self._run, args=(f, args),
                                       daemon=True)
        self.thread.start()

    def _run(self, f, args):
        try:
            self.value = f(*args)
        except BaseException as e:
            self.error = e

    def done(self):
        return not self.thread.is_alive()

    def result(self):
        self.thread.join(WAIT)
        assert self.done(), "it does not come to an end"
        if self.error:
            raise self.error
        return self.value


class X:
    """One script's surroundings."""

    def __init__(self, name):
        self.root = "/%s-%s" % (name, uuid.uuid4().hex[:8])
        self.ends = []
        self.lock = threading.Lock()

    def client(self, session_ms=SESSION_MS, namespace=None, auth=None,
               start=True):
        """A CuratorFramework, connected if start."""
        retry = curator("retry.ExponentialBackoffRetry")(100, 10, 2000)
        b = curator("framework.CuratorFrameworkFactory").builder() \
            .connectString(control.send("address")).retryPolicy(retry) \
            .sessionTimeoutMs(session_ms).connectionTimeoutMs(SESSION_MS)
        if namespace:
            b = b.namespace(namespace)
        if auth:
            b = b.authorization("digest", byte_array(auth))
        c = b.build()
        self.close(c)
        if start:
            start_and_tell(c)
        return c

    def close(self, thing):
        """Have thing closed at the end, the last one first."""
        with self.lock:
            self.ends.append(thing)
        return thing

    def any_client(self):
        """A client, the same one each time."""
        if not hasattr(self, "any"):
            self.any = self.client()
        return self.any

    def finish(self):
        while self.ends:
            try:
                self.ends.pop().close()
            except jpype.JException:
                pass    # closed by the script, or never started

    # -- the server

    @staticmethod
    def restart_server(between=None):
        control.send("stop")
        try:
            if between:
                between()
        finally:
            control.send("start")

    @staticmethod
    def crash_server():
        control.send("kill")
        control.send("start")


def start_and_tell(client):
    """Start the client, until its listeners have been told CONNECTED: a thread
    of its own tells them, some time after blockUntilConnected() ends, and to
    a recipe that is started in between that would be a reconnect."""
    current = java("java.lang.Thread").currentThread
    thread = []
    listener = implement(
        "org.apache.curator.framework.state.ConnectionStateListener",
        stateChanged=lambda client, state: thread.append(current()))
    client.getConnectionStateListenable().addListener(listener)
    client.start()
    # it waits for the next change: all listeners have had this one
    wait_for(lambda: thread and
             str(thread[0].getState()) == "TIMED_WAITING", "the connection")
    client.getConnectionStateListenable().removeListener(listener)


def kill_session(client):
    """End the client's session on the server: what closeSession with its id
    and password does, sent from elsewhere.  The client loses its connection
    by that and may take its session back, before it is closed."""
    from zktest import wire
    zk = client.getZookeeperClient().getZooKeeper()
    sid, passwd = zk.getSessionId(), from_bytes(zk.getSessionPasswd())
    host, port = control.send("address").rsplit(":", 1)

    def gone():
        try:
            c = wire.Client(host, int(port), SESSION_MS, sid=sid,
                            passwd=passwd)
            if c.sid:
                c.close_session()
            else:
                c.close()
            return True
        except wire.Closed:
            return False
    wait_for(gone, "the session to be closed")
