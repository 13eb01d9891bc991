"""Zaqar's Tempest tests against nusku, with a real Keystone.

    run.py NUSKU SCRATCH

NUSKU is the program, or the word `zaqar`: then a real Zaqar takes its place, which
shows that the table says the truth about it. Each test is a check: that it passes,
or that it fails if deviations.md explains why. SCRATCH is a directory for data,
and for logs if something fails. Run it with the Python of the environment that
tools/provision made for Zaqar.
"""

import contextlib
import pathlib
import shutil
import signal
import sys
import tempfile

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path += [str(TESTS / name) for name in ("clients", "interop", "keystone")]

from checks import Checks
from guarded import Troupe
from keystone import Keystone
from people import People
from servers import Mongod, running
from suite import Suite, deviations


def judge(check, name, passed, failing):
    """One test; `passed` is None if it did not run."""
    if passed is None:
        raise AssertionError("it did not run")
    if name in failing:
        check.true(not passed, "it passes, and stands in deviations.md as one that fails")
    else:
        check.true(passed, "it fails, and deviations.md does not say why")


def judge_all(check, suite, kind):
    tests, outcomes = suite.tests(), suite.run()
    failing, explained = deviations(kind)
    with check.part("deviations.md"):
        check.equal(explained - set(tests), set(), "it names tests that there are")
    for name in tests:
        with check.part(name):
            judge(check, name, outcomes.get(name), failing)
    print(f"{sum(outcomes.values())} of {len(tests)} Tempest tests pass with {kind}, "
          f"{len(failing)} are explained in deviations.md")


def main(binary, scratch):
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="tempest.", dir=scratch))
    with Checks().tour() as check:
        with contextlib.ExitStack() as stack:
            keystone = stack.enter_context(running(Keystone, scratch))
            mongod = stack.enter_context(running(Mongod, scratch)) if binary == "zaqar" else None
            server = stack.enter_context(Troupe(binary, scratch, keystone, mongod).server())
            People(keystone).serve_at(server.url)
            judge_all(check, Suite(scratch, keystone), server.kind)
        if not check.failed:
            shutil.rmtree(scratch)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    # So that a signal unwinds the blocks that end what was started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    main(sys.argv[1], sys.argv[2])
