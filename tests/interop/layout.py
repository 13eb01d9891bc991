"""Databases and indexes, and who may start on what the other has made."""

import contextlib

from api import bodies_of
from scene import Scene

MESSAGES = {
    "ttl": ([("e", 1)], {"expireAfterSeconds": 0}),
    "active": ([("p_q", 1), ("k", 1), ("c.e", 1)], {}),
    "claimed": ([("p_q", 1), ("c.id", 1), ("k", 1), ("c.e", 1)], {}),
    "counting": ([("p_q", 1), ("c.e", 1)], {}),
    "queue_marker": ([("k", 1), ("p_q", 1)], {}),
    "transaction": ([("tx", 1)], {}),
}
QUEUES = {"p_q_1": ([("p_q", 1)], {"unique": True})}


def messages_indexes(driver):
    if driver == "mongodb":
        return MESSAGES
    keys, _ = MESSAGES["queue_marker"]
    return {**MESSAGES, "queue_marker": (keys, {"unique": True})}


def indexes(collection):
    """Every index but that of `_id`: its keys, and the options that matter."""
    found = {}
    for name, index in collection.index_information().items():
        options = {key: value for key, value in index.items()
                   if key not in ("key", "v", "ns", "background")}
        keys = [(field, int(direction)) for field, direction in index["key"]]
        found[name] = (keys, options)
    return {name: index for name, index in found.items() if name != "_id_"}


def check_layout(check, database, maker):
    check.equal(indexes(database.queues), QUEUES, f"indexes of queues, made by {maker}")
    for name in database.message_databases:
        found = indexes(database.client[name].messages)
        check.equal(found, messages_indexes(database.driver), f"{name}, made by {maker}")
    there = set(database.client.list_database_names())
    check.true(not there & set(database.other_message_databases), "the other layout is not made")


def made_by_nusku(check, stage, driver):
    """Zaqar starts on what nusku made, and nusku once more."""
    database = stage.database(driver, "nusku_first")
    with stage.nusku(database) as nusku:
        check_layout(check, database, "nusku")
        visit(check, database, nusku, nusku, 1)
        with stage.zaqar(database) as zaqar:
            visit(check, database, zaqar, nusku, 2)
            visit(check, database, nusku, zaqar, 3)
            check_layout(check, database, "both")
    with stage.zaqar(database) as zaqar, stage.nusku(database) as nusku:
        visit(check, database, zaqar, nusku, 4)
    with stage.nusku(database, "auto") as nusku:
        visit(check, database, nusku, nusku, 5)
        check_layout(check, database, "both")


def made_by_zaqar(check, stage, driver):
    """nusku finds out which of Zaqar's drivers made the database, and joins in."""
    database = stage.database(driver, "zaqar_first")
    with stage.zaqar(database):
        pass
    # Nothing but empty collections tells it so far.
    with stage.nusku(database, "auto") as nusku:
        check_layout(check, database, "zaqar")
        visit(check, database, nusku, nusku, 1)
    with stage.zaqar(database) as zaqar, stage.nusku(database, "auto") as nusku:
        visit(check, database, zaqar, nusku, 2)
        visit(check, database, nusku, zaqar, 3)
    with stage.nusku(database, driver) as nusku:
        visit(check, database, nusku, nusku, 4)
        check_layout(check, database, "zaqar")


def visit(check, database, writer, reader, turn):
    """One more message in a queue that all of them use."""
    with contextlib.closing(Scene(check, database, writer, reader, "visitors")) as scene:
        scene.a.post_bodies("guests", turn)
        listed = scene.b.page("guests", echo="true")[0]
        check.equal(bodies_of(listed), list(range(1, turn + 1)), f"visit {turn}")
        markers = [record["k"] for record in scene.records.all("guests")]
        check.equal(markers, list(range(1, turn + 1)), f"the markers at visit {turn}")


ALL = [made_by_nusku, made_by_zaqar]
