"""Counts what a tour has checked; the first failure ends it."""

import contextlib
import sys


class Checks:
    """A tour is a list of statements about a server, in order."""

    def __init__(self):
        self.passed = 0

    def true(self, condition, what):
        assert condition, what
        self.passed += 1

    def equal(self, actual, expected, what):
        self.true(actual == expected, f"{what}: {actual!r} is not {expected!r}")

    def raises(self, error, call, what):
        try:
            outcome = call()
        except error:
            self.passed += 1
        else:
            raise AssertionError(f"{what}: no {error.__name__} but {outcome!r}")

    @contextlib.contextmanager
    def tour(self):
        """Ends the program, with the count that tools/test reads."""
        try:
            yield self
        except Exception:
            print(f"{self.passed} checks passed, 1 failed")
            raise
        print(f"{self.passed} checks passed, 0 failed")


def server_url():
    """The server to visit: the only argument."""
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} URL")
    return sys.argv[1].rstrip("/")
