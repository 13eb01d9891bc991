"""One scenario's stage: two servers, a project of its own, the records."""

import time

from api import ids_of
from database import Records

ALICE = "3381af92-2b9e-11e3-b191-71861300734c"
BOB = "9f1c43a6-52e2-4c8e-9a57-0f4d5b1c7a10"

# nusku may remember the record of a queue for a second.
MEMORY_SECONDS = 2

# How long it holds back what lies behind a gap: 3 s unless it is told otherwise.
HOLD_BACK_SECONDS = 6


class Scene:
    """`a` writes through one server, `b` reads through the other.

    They are two clients, Alice and Bob. `records` are the documents below.
    """

    def __init__(self, check, database, writer, reader, project):
        self.check, self.database, self.project = check, database, project
        self.writer, self.reader = writer, reader
        self.a = writer.client(project, ALICE)
        self.b = reader.client(project, BOB)
        self.records = Records(database, project)

    def both(self):
        return (self.a, self.b)

    def close(self):
        self.a.close()
        self.b.close()

    def agree(self, ask, what):
        """Both servers answer alike; gives back what they say."""
        first, second = ask(self.a), ask(self.b)
        self.check.equal(second, first, f"{what}: {self.b.kind} as {self.a.kind}")
        return first

    def learns(self, who, ask, expected, what, seconds=MEMORY_SECONDS):
        """What the other server changed about a queue is known: to Zaqar at
        once, to nusku when its memory of the queue ends."""
        deadline = time.monotonic() + (seconds if who.kind == "nusku" else 0)
        while (told := ask(who)) != expected and time.monotonic() < deadline:
            time.sleep(0.05)
        self.check.equal(told, expected, what)

    def lists(self, who, queue, ids, what):
        """The messages of a queue from which some were deleted. With driver
        `mongodb` a marker without a message may be one that Zaqar is about to
        insert: nusku waits a while before it shows what lies behind it."""
        seconds = HOLD_BACK_SECONDS if self.database.driver == "mongodb" else 0
        self.learns(who, lambda it: ids_of(it.page(queue, echo="true")[0]), ids, what, seconds)
