"""Keystone is asked once, killed, frozen, and loses its keys, all of it under load."""

import collections
import contextlib
import signal
import threading
import time

from guarded import PATIENCE_SECONDS, Caller

CROWD = 40
WORKERS = 4

# Beyond nusku's own patience, on a machine that is busy.
SLACK_SECONDS = 15


def crowd(stage, server, token):
    """The statuses that many get who come at the same moment with one token."""
    together, statuses = threading.Barrier(CROWD), []

    def come():
        with contextlib.closing(Caller(server, token)) as caller:
            together.wait()
            statuses.append(caller.call("GET", "/v2/queues").status)

    callers = [threading.Thread(target=come) for _ in range(CROWD)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    return collections.Counter(statuses)


def asked(stage, work):
    """How often Keystone is asked about a token by that, and what it gives back."""
    before = stage.keystone.validations()
    outcome = work()
    # It writes its log after it has answered: what it says of itself comes last.
    stage.ask_keystone()
    return stage.keystone.validations() - before, outcome


def one_validation(stage, server):
    check, people = stage.check, stage.people
    token = people.token("blue-member")
    times, statuses = asked(stage, lambda: crowd(stage, server, token))
    check.equal((times, statuses), (1, {200: CROWD}), "a new token is validated once")
    times, statuses = asked(stage, lambda: crowd(stage, server, token))
    check.equal((times, statuses), (0, {200: CROWD}), "one that is known not at all")
    times, statuses = asked(stage, lambda: crowd(stage, server, f"{token}x"))
    check.equal((times, statuses), (1, {401: CROWD}), "one that is wrong once too")


class Load:
    """Workers that use a queue all the time with a token that is known."""

    def __init__(self, server, token):
        self.server, self.token = server, token
        self.outcomes, self.ending = collections.Counter(), threading.Event()
        self.threads = [threading.Thread(target=self.work, daemon=True) for _ in range(WORKERS)]

    def work(self):
        document = {"messages": [{"body": 1, "ttl": 300}]}
        with contextlib.closing(Caller(self.server, self.token)) as caller:
            while not self.ending.is_set():
                try:
                    answer = caller.call("POST", "/v2/queues/busy/messages", document)
                    self.outcomes[answer.status] += 1
                except OSError as error:
                    self.outcomes[repr(error)] += 1

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        for thread in self.threads:
            thread.join()

    def goes_on(self, check, what):
        """Something more was done, and nothing but what was to be done."""
        before = self.outcomes[201]
        deadline = time.monotonic() + SLACK_SECONDS
        while self.outcomes[201] == before and time.monotonic() < deadline:
            time.sleep(0.01)
        check.true(self.outcomes[201] > before, f"{what}: known tokens go on")
        check.equal(set(self.outcomes), {201}, f"{what}: and are never refused")


def unavailable(stage, answer, what):
    check = stage.check
    check.equal(answer.status, 503, f"{what}: a new token has to wait")
    check.true(int(answer.headers["Retry-After"]) > 0, f"{what}: it is told how long")
    check.equal(set(answer.document), {"title", "description"}, f"{what}: and why")
    told = answer.text
    check.true(stage.keystone.address not in told and "secret" not in told, f"{what}: no secrets")


def away(stage, server):
    check, people, keystone = stage.check, stage.people, stage.keystone
    known, first, second = (people.token("blue-member") for _ in range(3))
    check.equal(stage.status(server, known), 200, "a token is known")
    with Load(server, known) as load, contextlib.ExitStack() as stack:
        stack.callback(keystone.revive)
        load.goes_on(check, "before")
        keystone.kill()
        unavailable(stage, stage.ask(server, first), "killed")
        unavailable(stage, stage.ask(server, "made up"), "killed, and a forged one")
        unavailable(stage, stage.ask(server, known, X_Service_Token=first), "killed, a service")
        load.goes_on(check, "killed")
        keystone.start()
        stage.becomes(lambda: stage.status(server, first), 200, "started again: it gets in")
        stage.unauthorized(stage.ask(server, "made up"), "started again: forged")
        load.goes_on(check, "started again")

        keystone.signal(signal.SIGSTOP)
        began = time.monotonic()
        unavailable(stage, stage.ask(server, second), "frozen")
        check.true(time.monotonic() - began < PATIENCE_SECONDS + SLACK_SECONDS,
                   "frozen: nobody waits longer than is set")
        load.goes_on(check, "frozen")
        keystone.signal(signal.SIGCONT)
        stage.becomes(lambda: stage.status(server, second), 200, "thawed: it gets in")

        keystone.rotate_keys()
        people.meet_administrator()
        check.equal(stage.status(server, people.token("blue-member")), 200,
                    "keys replaced: nusku gets a new token for itself")
        load.goes_on(check, "keys replaced")
    check.equal(stage.status(server, known, "DELETE", "/v2/queues/busy"), 204, "gone")


ALL = [one_validation, away]
