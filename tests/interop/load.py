"""Both servers at once on the same queues, with nusku's observers looking on."""

import concurrent.futures
import contextlib
import random
import time
import uuid

from api import bodies_of, ids_of
from database import Records, queue_in_partition
from ledger import Ledger

PROJECT = "load"
QUEUES = 3
PRODUCERS_EACH = 2      # of each server, in each queue
OBSERVERS = 2
BATCH_MAX = 5
CLAIM_MAX = 10
WAITING_MAX = 300       # messages of a queue; producers then wait for consumers
IDLE_SECONDS = 0.02     # between two looks at a queue that has nothing new
LAST_SIGHT_SECONDS = 30 # for observers, once the producers have ended
CLAIM = {"ttl": 43200, "grace": 60}


class Queue:
    """One queue under load; its workers run until `deadline`."""

    def __init__(self, number, zaqar, nusku, deadline):
        self.name = queue_in_partition(PROJECT, f"hot{number}", number % 2)
        self.ledger = Ledger(OBSERVERS)
        self.zaqar, self.nusku, self.deadline = zaqar, nusku, deadline
        self.producers_left = 2 * PRODUCERS_EACH
        self.observers_left = OBSERVERS
        self.claims = {"zaqar": 0, "nusku": 0}

    def client(self, server):
        return contextlib.closing(server.client(PROJECT, str(uuid.uuid4())))

    def workers(self):
        """Every worker, as a call."""
        for server, name in ((self.zaqar, "zaqar"), (self.nusku, "nusku")):
            other = self.nusku if name == "zaqar" else self.zaqar
            for number in range(PRODUCERS_EACH):
                yield self.produce, server, f"{name}-{number}"
            yield self.consume, server, other, name
        for number in range(OBSERVERS):
            yield self.observe, number

    def produce(self, server, producer):
        dice, number = random.Random(producer + self.name), 0
        try:
            with self.client(server) as client:
                while time.monotonic() < self.deadline:
                    if self.ledger.waiting() > WAITING_MAX:
                        time.sleep(IDLE_SECONDS)
                        continue
                    count = dice.randint(1, BATCH_MAX)
                    texts = [f"{producer}:{number + it}:{number}+{count}" for it in range(count)]
                    self.ledger.post_begins(producer)
                    client.post_bodies(self.name, *texts)
                    self.ledger.post_ends(producer, texts)
                    number += count
        finally:
            self.producers_left -= 1

    def observe(self, number):
        try:
            with self.client(self.nusku) as client:
                query = "limit=20&echo=true&include_claimed=true"
                path = f"/v2/queues/{self.name}/messages?{query}"
                while not self.seen_enough(number):
                    messages, following = client.follow(path)
                    self.ledger.observed(number, bodies_of(messages))
                    path = following or path
                    if not messages:
                        time.sleep(IDLE_SECONDS)
        finally:
            self.observers_left -= 1

    def seen_enough(self, observer):
        if self.producers_left:
            return False
        too_late = time.monotonic() > self.deadline + LAST_SIGHT_SECONDS
        return too_late or self.ledger.has_seen_all(observer)

    def consume(self, server, other, name):
        dice, held = random.Random(name), []
        with self.client(server) as client, self.client(other) as stranger:
            while self.observers_left:
                claim, messages = client.claim(self.name, limit=dice.randint(1, CLAIM_MAX), **CLAIM)
                if messages:
                    self.claims[name] += 1
                    held += self.take(client, claim, messages, dice.random() < 0.1)
                held = self.delete(dice.choice([client, client, stranger]), held)
                if not messages:
                    time.sleep(IDLE_SECONDS)
            for claim, message in held:
                client.delete(self.name, message["id"], claim)
                self.ledger.gone([message["body"]])

    def take(self, client, claim, messages, changes_its_mind):
        """What the worker has to do now; nothing if it gives the claim back."""
        texts = bodies_of(messages)
        self.ledger.handed_out(texts, claim)
        if not changes_its_mind:
            return [(claim, message) for message in messages]
        self.ledger.let_go(texts)
        client.release(self.name, claim)
        return []

    def delete(self, client, held):
        """Deletes what may go, one by one or all at once; what may not yet."""
        ready = [it for it in held if self.ledger.may_go(it[1]["body"])]
        if len(ready) > CLAIM_MAX:
            ready = ready[:20]
            client.delete_many(self.name, ids_of(message for _, message in ready))
        else:
            for claim, message in ready:
                client.delete(self.name, message["id"], claim)
        self.ledger.gone(message["body"] for _, message in ready)
        return [it for it in held if it not in ready]

    def finish(self, check):
        """Works off what consumers gave back last; then judges."""
        with self.client(self.nusku) as client, self.client(self.zaqar) as stranger:
            while (claimed := client.claim(self.name, limit=20, **CLAIM))[0]:
                claim, messages = claimed
                self.ledger.handed_out(bodies_of(messages), claim)
                client.delete_many(self.name, ids_of(messages))
                self.ledger.gone(bodies_of(messages))
            for who in (client, stranger):
                check.equal(who.stats(self.name)["total"], 0, f"{self.name}: nothing is left")
        self.ledger.check(check, self.name)


def run(check, database, zaqar, nusku, seconds):
    """Loads both servers for that long, then finds nothing wrong."""
    deadline = time.monotonic() + seconds
    queues = [Queue(number, zaqar, nusku, deadline) for number in range(QUEUES)]
    for queue in queues:
        with queue.client(nusku) as client:
            client.create(queue.name)
    workers = [worker for queue in queues for worker in queue.workers()]
    with concurrent.futures.ThreadPoolExecutor(len(workers)) as pool:
        done = [pool.submit(call, *arguments) for call, *arguments in workers]
    for future in done:
        check.equal(future.exception(), None, "a worker ends well")
    records = Records(database, PROJECT)
    for queue in queues:
        queue.finish(check)
        posted = len(queue.ledger.acknowledged)
        counter = records.counter(queue.name)
        check.true(counter > posted, f"{queue.name}: {counter} is behind {posted} messages")
        check.equal(records.all(queue.name), [], f"{queue.name}: no document is left")
        for name, claims in queue.claims.items():
            check.true(claims > 0, f"{queue.name}: {name} hands out")
        print(f"{queue.name}: {posted} messages, claims {queue.claims}", flush=True)
