# SPDX-License-Identifier: GPL-2.0-or-later
"""The man pages: well-formed, and telling of every option that there is."""

import glob
import os
import re
import shutil

from cli import Cli, check, equal
from zktest import proc
from zktest.server import TOP, ZKERND
from zktest.tap import Skip

PAGES = os.path.join(TOP, "tools", "man")


def text_of(page):
    with open(os.path.join(PAGES, page)) as f:
        return f.read()


def lint(server, z):
    if not shutil.which("mandoc"):
        raise Skip("mandoc is not installed")
    pages = sorted(glob.glob(os.path.join(PAGES, "*.[1-8]")))
    equal([os.path.basename(p) for p in pages],
          ["zkern.1", "zkern.4", "zkernd.8"])
    for p in pages:
        status, out, err = proc.run(["mandoc", "-Tlint", "-Wwarning", p])
        check(status == 0 and not out, "%s: %s%s" % (p, out, err))


def options_told(help_text, page):
    long = set(re.findall(r"--([a-z][a-z-]+)", help_text))
    missing = [o for o in sorted(long) if "Fl -" + o not in page]
    check(not missing, "not in the page: %s" % missing)
    return long


def zkern_page(server, z):
    z = Cli()
    page = text_of("zkern.1")
    seen = options_told(z("--help"), page)
    for name in re.findall(r"^  (\w+) ", z("--help").split("Options")[0],
                           re.M):
        check(re.search(r"\.Cm .*\b%s\b" % name, page), name + " is missing")
        if name != "help":
            seen |= options_told(z("help", name), page)
    check({"json", "acl", "max-age", "parents", "owner"} <= seen, seen)
    codes = re.findall(r"^ *(\d+) ", z("help", "exit"), re.M)
    equal(codes, [str(i) for i in range(13)], "exit codes")
    told = page.split(".Sh EXIT STATUS")[1].split(".Sh")[0]
    equal(re.findall(r"\.It (\d+)", told), codes, "exit codes in the page")


def zkernd_page(server, z):
    status, out, err = proc.run([ZKERND, "--help"])
    equal(status, 0)
    options_told(out, text_of("zkernd.8"))


def zkern_header(server, z):
    """zkern.4 names every request of the header."""
    with open(os.path.join(TOP, "include/uapi/linux/zkern.h")) as f:
        requests = re.findall(r"#define (ZKERN_\w+)\s+_IO", f.read())
    check(len(requests) > 10, requests)
    page = text_of("zkern.4")
    missing = [r for r in requests if not re.search(r"\b%s\b" % r, page)]
    check(not missing, "not in the page: %s" % missing)


TESTS = [lint, zkern_page, zkernd_page, zkern_header]
