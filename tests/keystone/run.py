"""nusku behind a real Keystone: who gets in, what they may do, and what happens
when Keystone is away. Then every command of python-openstackclient.

    run.py NUSKU SCRATCH

NUSKU is the program, or the word `zaqar`: then a real Zaqar takes its place, which
shows that what the scenarios ask is what Zaqar does; what only nusku does is left
out. SCRATCH is a directory for data, and for logs if something fails. Run it with
the Python of the environment that tools/provision made for Zaqar.
"""

import contextlib
import pathlib
import shutil
import signal
import sys
import tempfile

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path += [str(TESTS / name) for name in ("clients", "interop")]

import commands
import lifetimes
import outage
import rights
import trusts
import walls
from checks import Checks
from guarded import Troupe
from keystone import Keystone
from people import People
from servers import Mongod, running
from stage import Stage

ON_A_SERVER = walls.ALL + rights.ON_A_SERVER + lifetimes.ON_A_SERVER
ALONE = rights.ALONE
ONLY_NUSKU = outage.ALL
ONLY_NUSKU_ALONE = lifetimes.ALONE + trusts.ALONE


def title(scenario):
    return f"{scenario.__module__}.{scenario.__name__}"


def main(binary, scratch):
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="keystone.", dir=scratch))
    with Checks().tour() as check:
        with contextlib.ExitStack() as stack:
            keystone = stack.enter_context(running(Keystone, scratch))
            mongod = stack.enter_context(running(Mongod, scratch)) if binary == "zaqar" else None
            troupe = Troupe(binary, scratch, keystone, mongod)
            stage = Stage(check, keystone, People(keystone), troupe, scratch)
            on_a_server, alone = ON_A_SERVER, ALONE
            if not troupe.is_zaqar:
                on_a_server, alone = on_a_server + ONLY_NUSKU, alone + ONLY_NUSKU_ALONE
            with troupe.server() as server:
                for scenario in on_a_server:
                    with check.part(title(scenario)):
                        scenario(stage, server)
            for scenario in alone:
                with check.part(title(scenario)):
                    scenario(stage)
            commands.run(check, stage)
        if not check.failed:
            shutil.rmtree(scratch)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    # So that a signal unwinds the blocks that end what was started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    main(sys.argv[1], sys.argv[2])
