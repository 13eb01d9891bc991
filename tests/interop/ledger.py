"""What was posted, seen and handed out under load, and what is wrong with it.

A message is `producer:number:batch`, its batch `first+count` of that producer.
"""

import collections
import threading


class Ledger:
    """The truth about one queue, told by everybody who works on it."""

    def __init__(self, observers):
        self.observers = observers
        self.lock = threading.Lock()
        self.clock = 0
        self.posting = {}       # producer: when its post in flight began
        self.acknowledged = {}  # text: when its post had been answered
        self.seen = [[] for _ in range(observers)]
        self.sights = collections.Counter()
        self.holder = {}        # text: the claim that has it
        self.deleted = set()
        self.faults = []

    def tick(self):
        self.clock += 1
        return self.clock

    # ---------------------------------------------------------- producers

    def post_begins(self, producer):
        with self.lock:
            self.posting[producer] = self.tick()

    def post_ends(self, producer, texts):
        with self.lock:
            del self.posting[producer]
            self.acknowledged.update(dict.fromkeys(texts, self.tick()))

    def waiting(self):
        with self.lock:
            return len(self.acknowledged) - len(self.deleted)

    # ---------------------------------------------------------- observers

    def observed(self, observer, texts):
        with self.lock:
            self.seen[observer] += texts
            self.sights.update(texts)

    def has_seen_all(self, observer):
        with self.lock:
            return len(self.seen[observer]) >= len(self.acknowledged)

    # ---------------------------------------------------------- consumers

    def handed_out(self, texts, claim):
        with self.lock:
            for text in texts:
                if text in self.deleted:
                    self.faults.append(f"{text} was handed out after its deletion")
                if text in self.holder:
                    self.faults.append(f"{text} is in {claim} and in {self.holder[text]}")
                self.holder[text] = claim

    def let_go(self, texts):
        """A claim is about to be released."""
        with self.lock:
            for text in texts:
                self.holder.pop(text, None)

    def may_go(self, text):
        """Whether every observer has seen the message, so that a deletion
        excuses none of them, and whether every post that began before its own
        was answered is over. For Zaqar's fifo driver raises the counter after
        it has inserted: whoever read the counter before that tries the same
        markers, and gets them if the message is gone by then."""
        with self.lock:
            at = self.acknowledged.get(text)
            settled = at is not None and all(began > at for began in self.posting.values())
            return settled and self.sights[text] >= self.observers

    def gone(self, texts):
        with self.lock:
            self.deleted.update(texts)
            for text in texts:
                self.holder.pop(text, None)

    # -------------------------------------------------------------- judge

    def check(self, check, what):
        check.equal(self.faults[:5], [], f"{what}: no message in two claims or after deletion")
        posted = set(self.acknowledged)
        check.equal(sorted(posted ^ self.deleted)[:5], [], f"{what}: all worked off")
        for observer, seen in enumerate(self.seen):
            name = f"{what}, observer {observer}"
            twice = [it for it, times in collections.Counter(seen).items() if times > 1]
            check.equal(twice[:5], [], f"{name}: nothing twice")
            check.equal(sorted(posted - set(seen))[:5], [], f"{name}: nothing missed")
            check.equal(sorted(set(seen) - posted)[:5], [], f"{name}: nothing made up")
            check.equal(disorder(seen)[:5], [], f"{name}: each producer's order")
            check.equal(torn(seen)[:5], [], f"{name}: batches in one piece")
            check.true(seen == self.seen[0], f"{name}: the order of observer 0")


def disorder(seen):
    """The messages that come after a later one of their producer."""
    last, wrong = {}, []
    for text in seen:
        producer, number, _ = text.split(":")
        if int(number) <= last.get(producer, -1):
            wrong.append(text)
        last[producer] = int(number)
    return wrong


def torn(seen):
    """The messages that do not follow the one before in their batch."""
    wrong, before = [], None
    for text in seen:
        producer, number, batch = text.split(":")
        first = int(batch.split("+")[0])
        if int(number) > first and before != f"{producer}:{int(number) - 1}:{batch}":
            wrong.append(text)
        before = text
    return wrong
