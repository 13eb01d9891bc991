"""The ledger finds each kind of fault when there is one."""

from checks import Checks
from ledger import Ledger

TEXTS = ["p:0:0+2", "p:1:0+2", "q:0:0+1"]


def honest():
    """Two posts, seen by two observers, claimed and deleted."""
    ledger = Ledger(observers=2)
    for producer, texts in (("p", TEXTS[:2]), ("q", TEXTS[2:])):
        ledger.post_begins(producer)
        ledger.post_ends(producer, texts)
    for observer in range(2):
        ledger.observed(observer, TEXTS)
    ledger.handed_out(TEXTS, "claim")
    ledger.gone(TEXTS)
    return ledger


def saw(*texts):
    def plant(ledger):
        ledger.seen = [list(texts), list(texts)]
    return plant


def differ(ledger):
    ledger.seen[1] = TEXTS[2:] + TEXTS[:2]


def hold_twice(ledger):
    ledger.deleted.clear()
    ledger.handed_out(TEXTS[:1], "one")
    ledger.handed_out(TEXTS[:1], "other")


def revive(ledger):
    ledger.handed_out(TEXTS[:1], "late")


def leave(ledger):
    ledger.deleted.remove(TEXTS[0])


FAULTS = [
    ("nothing missed", saw(*TEXTS[:2])),
    ("nothing twice", saw(*TEXTS, TEXTS[0])),
    ("nothing made up", saw(*TEXTS, "q:9:9+1")),
    ("each producer's order", saw(TEXTS[1], TEXTS[0], TEXTS[2])),
    ("batches in one piece", saw(TEXTS[0], TEXTS[2], TEXTS[1])),
    ("the order of observer 0", differ),
    ("two claims", hold_twice),
    ("after deletion", revive),
    ("all worked off", leave),
]


def run(check):
    honest().check(check, "honest")
    for fault, plant in FAULTS:
        ledger = honest()
        plant(ledger)
        try:
            ledger.check(Checks(), "planted")
            found = "nothing"
        except AssertionError as error:
            found = str(error)
        check.true(fault in found, f"{fault}: the ledger found {found}")

    ledger = Ledger(observers=1)
    ledger.post_begins("q")
    ledger.post_begins("p")
    ledger.post_ends("p", TEXTS[:1])
    check.true(not ledger.may_go(TEXTS[0]), "not before it was seen")
    ledger.observed(0, TEXTS[:1])
    check.true(not ledger.may_go(TEXTS[0]), "not while an older post is under way")
    ledger.post_ends("q", TEXTS[2:])
    check.true(ledger.may_go(TEXTS[0]), "but now")
