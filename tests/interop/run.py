"""Real Zaqar and nusku serve one database, in both of Zaqar's driver modes.

    run.py NUSKU SCRATCH [MODE...]

NUSKU is the program, or the word `zaqar`: then a second Zaqar takes its place,
which shows that what the scenarios ask is what Zaqar does. All pass but the load
of mode `mongodb`, where Zaqar's observers miss messages. SCRATCH is a directory
for data, and for logs if something fails. Run it with the Python of the environment
that tools/provision made; NUSKU_TEST_MONGOD and NUSKU_TEST_ZAQAR say where the
others are.

NUSKU_INTEROP_SECONDS is how long both modes together are under load: 60.
"""

import contextlib
import os
import pathlib
import shutil
import signal
import sys
import tempfile

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "clients"))

import claims
import dead_letters
import encryption
import layout
import ledger_trials
import load
import messages
import queues
import records
import subscriptions
import topics
from checks import Checks
from database import SUFFIXES, Database
from scene import Scene
from servers import Mongod, Nusku, Zaqar, running

SCENARIOS = (
    queues.ALL + messages.ALL + claims.ALL + dead_letters.ALL + records.ALL + encryption.ALL
    + subscriptions.ALL + topics.ALL
)
LOAD_SECONDS = float(os.environ.get("NUSKU_INTEROP_SECONDS", "60"))


class Stage:
    """What servers are started from, and how."""

    def __init__(self, binary, scratch, mongod):
        self.binary, self.scratch, self.mongod = binary, scratch, mongod
        self.started = 0

    def name(self, kind):
        self.started += 1
        return f"{self.started:02}-{kind}"

    def zaqar(self, database):
        return running(Zaqar, self.name("zaqar"), self.scratch, self.mongod,
                       database.driver, database.name)

    def nusku(self, database, driver=None):
        """With another `driver`, such as "auto", than the database's own."""
        if self.binary == "zaqar":
            return self.zaqar(database)
        return running(Nusku, self.binary, self.name("nusku"), self.scratch, self.mongod,
                       driver or database.driver, database.name)

    def database(self, driver, purpose):
        name = f"{purpose}_{driver.replace('.', '_')}"
        return Database(self.mongod.client, name, driver)


def run_scenarios(check, database, zaqar, nusku):
    for writer, reader in [(zaqar, nusku), (nusku, zaqar)]:
        for scenario in SCENARIOS:
            what = f"{scenario.__module__}.{scenario.__name__}"
            role = f"{writer.name[3:]} to {reader.name[3:]}"
            project = f"{what}-{writer.name}".replace(".", "-")
            with check.part(f"{database.driver}, {role}: {what}"):
                with contextlib.closing(Scene(check, database, writer, reader, project)) as scene:
                    scenario(scene)


def run_mode(check, stage, driver):
    for start in layout.ALL:
        with check.part(f"{driver}: layout.{start.__name__}"):
            start(check, stage, driver)
    database = stage.database(driver, "shared")
    with stage.zaqar(database) as zaqar, stage.nusku(database) as nusku:
        run_scenarios(check, database, zaqar, nusku)
        with check.part(f"{driver}: load"):
            load.run(check, database, zaqar, nusku, LOAD_SECONDS / len(SUFFIXES))


def main(binary, scratch, modes):
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="interop.", dir=scratch))
    with Checks().tour() as check:
        ledger_trials.run(check)
        with running(Mongod, scratch) as mongod:
            stage = Stage(binary, scratch, mongod)
            for driver in modes:
                run_mode(check, stage, driver)
        if not check.failed:
            shutil.rmtree(scratch)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    # So that a signal unwinds the blocks that end what was started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    main(sys.argv[1], sys.argv[2], sys.argv[3:] or list(SUFFIXES))
