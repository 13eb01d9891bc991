"""What the scenarios have at hand."""

import contextlib
import time

from guarded import Caller

EVENT_SECONDS = 20

UNAUTHORIZED = {"error": {
    "code": 401, "title": "Unauthorized",
    "message": "The request you have made requires authentication.",
}}


class Stage:
    """A Keystone, the people in it, servers that ask it."""

    def __init__(self, check, keystone, people, troupe, scratch):
        self.check, self.keystone, self.people = check, keystone, people
        self.troupe, self.scratch = troupe, scratch

    def status(self, server, token, method="GET", path="/v2/queues", document=None, **headers):
        return self.ask(server, token, method, path, document, **headers).status

    @staticmethod
    def ask(server, token, method="GET", path="/v2/queues", document=None, **headers):
        """One request of somebody who then goes away."""
        with contextlib.closing(Caller(server, token, **headers)) as caller:
            return caller.call(method, path, document)

    def ask_keystone(self):
        """So that all it did before is in its log."""
        before = self.keystone.requests("GET", "/v3")
        with contextlib.closing(self.keystone.client()) as client:
            client.call("GET", "/v3")
        self.becomes(lambda: self.keystone.requests("GET", "/v3"), before + 1, "its log")

    def unauthorized(self, answer, what):
        """The answer of Keystone's middleware, which differs from all others."""
        check = self.check
        check.equal(answer.status, 401, what)
        check.equal(answer.document, UNAUTHORIZED, f"{what}: the body")
        check.equal(answer.headers["Content-Type"], "application/json", f"{what}: its type")
        check.equal(answer.headers["WWW-Authenticate"],
                    f'Keystone uri="{self.keystone.url}"', f"{what}: where to go")
        check.true(answer.headers["X-OpenStack-Request-Id"].startswith("req-"), f"{what}: its id")

    def becomes(self, ask, expected, what, seconds=EVENT_SECONDS):
        """What `ask` returns is `expected` before long."""
        deadline = time.monotonic() + seconds
        while (told := ask()) != expected and time.monotonic() < deadline:
            time.sleep(0.05)
        self.check.equal(told, expected, what)
