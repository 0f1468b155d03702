# SPDX-License-Identifier: GPL-2.0-or-later
"""A zkernd that is started by hand: its own environment, its own standard error."""

import contextlib
import os
import shutil
import subprocess

from zktest import proc
from zktest.server import ZKERND, ZkerndServer

PATIENCE = 120      # seconds; the machine may be busy with anything


class Daemon(ZkerndServer):
    """args: before the file; env: besides ours; stderr: a file descriptor, else the
    log file that log_text() reads."""

    def __init__(self, config=None, args=(), env=None, stderr=None):
        super().__init__(config=config)
        self.args = list(args)
        self.env = env or {}
        self.stderr = stderr

    def spawn(self):
        cfg = self.write_config()
        env = {k: v for k, v in os.environ.items()
               if k not in ("JOURNAL_STREAM", "NOTIFY_SOCKET", "JVMFLAGS")}
        env.update(self.env)
        with open(self.log_path, "ab") as log:
            self.proc = proc.spawn(
                [ZKERND, "--store", "memory"] + self.args + [cfg],
                cwd=self.work, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log if self.stderr is None else self.stderr, env=env)

    def signal(self, sig):
        os.kill(self.proc.pid, sig)

    def wait_log(self, text, path=None):
        """Until the log (or the file) has the text."""
        def there():
            with open(path or self.log_path, errors="replace") as f:
                return text in f.read()
        try:
            proc.wait_for(there, PATIENCE, "%r in the log" % text)
        except Exception:
            print("# " + self.log_text().replace("\n", "\n# "), flush=True)
            raise

    def wait_end(self):
        """Its exit status; negative: the signal that ended it."""
        self.proc.wait(PATIENCE)
        return self.proc.returncode


@contextlib.contextmanager
def daemon(start=True, **kwargs):
    d = Daemon(**kwargs)
    try:
        if start:
            d.start()
        yield d
    except Exception:
        print("# " + d.log_text(4000).replace("\n", "\n# "), flush=True)
        raise
    finally:
        d.remove()


@contextlib.contextmanager
def temp_dir():
    d = proc.temp_dir("zkern-ctl-")
    try:
        yield d
    finally:
        shutil.rmtree(d, ignore_errors=True)


def zkernd(*args, env=None, **kwargs):
    """Run to its end: status, standard output, standard error."""
    e = {k: v for k, v in os.environ.items()
         if k not in ("NOTIFY_SOCKET", "JVMFLAGS", "SERVER_JVMFLAGS")}
    e.update(env or {})
    p = subprocess.run([ZKERND] + list(args), stdin=subprocess.DEVNULL,
                       capture_output=True, text=True, env=e, timeout=PATIENCE,
                       errors="backslashreplace", **kwargs)
    return p.returncode, p.stdout, p.stderr


def equal(got, want, what):
    assert got == want, "%s: %r, not %r" % (what, got, want)
