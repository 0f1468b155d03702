# SPDX-License-Identifier: GPL-2.0-or-later
"""The server under test, held by this program and steered by another.

The upstream suites run in processes of their own and want to stop and start
their server.  The server object (and with it the VM) stays here; a UNIX socket
takes one command per connection, a line:

    start               start it on its directory, if it is not running, until
                        it makes sessions
    clean KEY=VALUE...  start it anew on an empty directory, with these keys
    stop                SIGTERM
    kill                SIGKILL
    address             host:port, and nothing else happens

(where there are several, with a number behind the command, from 0) and answers with "ok TEXT" or "error TEXT" on one line.  send() is the other
end, for programs and for scripts (python3 control.py COMMAND...); the path of
the socket is in the environment, ENV.
"""

import os
import shutil
import socket
import sys
import threading

ENV = "ZKERN_SUITE_CONTROL"


def send(*words):
    """Give the command; its answer's text.  RuntimeError if it failed."""
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(os.environ[ENV])
        s.sendall((" ".join(words) + "\n").encode())
        got = s.makefile(errors="replace").readline().rstrip("\n")
    word, _, text = got.partition(" ")
    if word != "ok":
        raise RuntimeError("%s: %s" % (" ".join(words), text or "no answer"))
    return text


class Control:
    """The socket at path, and one thread that does what is asked there."""

    def __init__(self, servers, path):
        self.servers = servers
        self.config = dict(servers[0].extra)
        self.path = path
        self.lock = threading.Lock()
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.bind(path)
        self.sock.listen(8)
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self):
        """No further command is taken; one under way is waited for."""
        self.sock.close()
        with self.lock:
            self.servers = None

    def _serve(self):
        while True:
            try:
                c, _ = self.sock.accept()
            except OSError:
                return
            with c:
                words = c.makefile().readline().split()
                try:
                    answer = "ok " + self._do(words)
                except Exception as e:
                    answer = "error %s: %s" % (type(e).__name__, e)
                try:
                    c.sendall(answer.replace("\n", " | ").encode() + b"\n")
                except OSError:
                    pass

    def _do(self, words):
        with self.lock:
            if not self.servers:
                raise RuntimeError("the suite is over")
            command, args = words[0], words[1:]
            number = args.pop(0) if args and args[0].isdigit() else 0
            server = self.servers[int(number)]
            if command == "start":
                if not server.alive():
                    server.start()
                    self._warm(server)
            elif command == "clean":
                self._clean(server, dict(a.split("=", 1) for a in args))
            elif command == "stop":
                server.stop()
            elif command == "kill":
                server.kill()
            elif command != "address":
                raise ValueError("unknown command " + command)
            return server.address

    @staticmethod
    def _warm(server):
        """A first session: a JVM loads half of its classes for that, and the
        tests have limits by the clock for what follows."""
        from zktest import wire
        wire.Client(server.host, server.port).close_session()

    def _clean(self, server, config):
        from zktest.server import fresh
        server.kill()
        fresh(server.kind)
        shutil.rmtree(server.data_dir)
        os.makedirs(server.data_dir)
        server.extra = dict(self.config, **config)
        server.start()


if __name__ == "__main__":
    try:
        print(send(*sys.argv[1:]))
    except (OSError, RuntimeError) as e:
        sys.exit(str(e))
