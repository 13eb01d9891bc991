"""Counts what a tour has checked; the first failure ends it, or its part."""

import contextlib
import sys
import traceback


class Checks:
    """A tour is a list of statements about a server, in order."""

    def __init__(self):
        self.passed = 0
        self.failed = 0

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
    def part(self, what):
        """A part that can fail without ending the tour."""
        before = self.passed
        try:
            yield
        except Exception:
            self.failed += 1
            traceback.print_exc()
            print(f"{what}: failed after {self.passed - before} checks", flush=True)
        else:
            print(f"{what}: {self.passed - before} checks", flush=True)

    @contextlib.contextmanager
    def tour(self):
        """Ends the program, with the count that tools/test reads."""
        try:
            yield self
        except Exception:
            print(f"{self.passed} checks passed, {self.failed + 1} failed")
            raise
        print(f"{self.passed} checks passed, {self.failed} failed")
        if self.failed:
            sys.exit(1)


def server_url():
    """The server to visit: the only argument."""
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} URL")
    return sys.argv[1].rstrip("/")
