"""The database that both servers share, looked at and aged from outside."""

import datetime
import time
import zlib

import bson

PARTITIONS = 2
SUFFIXES = {"mongodb": "_messages_p", "mongodb.fifo": "_messages_fifo_p"}


def partition(project, queue):
    return zlib.crc32((project + queue).encode()) % PARTITIONS


def now():
    """Whole seconds, as the servers count."""
    return int(time.time())


def soon(seconds):
    """Whether that time is now, or was when the scenario began."""
    return abs(seconds - now()) <= 10


def seconds_of(date):
    """Of a date as pymongo reads it: UTC, without saying so."""
    return int(date.replace(tzinfo=datetime.UTC).timestamp())


class Database:
    """What a queue is in MongoDB, with Zaqar's names."""

    def __init__(self, client, name, driver):
        self.client, self.name, self.driver = client, name, driver

    @property
    def message_databases(self):
        return [f"{self.name}{SUFFIXES[self.driver]}{number}" for number in range(PARTITIONS)]

    @property
    def other_message_databases(self):
        """Those of the layout that is not in use."""
        suffixes = [suffix for driver, suffix in SUFFIXES.items() if driver != self.driver]
        return [f"{self.name}{suffixes[0]}{number}" for number in range(PARTITIONS)]

    @property
    def queues(self):
        return self.client[f"{self.name}_queues"].queues

    def messages(self, project, queue):
        return self.client[self.message_databases[partition(project, queue)]].messages

    def drop(self):
        for name in self.client.list_database_names():
            if name.startswith(f"{self.name}_"):
                self.client.drop_database(name)


class Records:
    """The documents of one project's queues."""

    def __init__(self, database, project):
        self.database, self.project = database, project

    def queue(self, queue):
        return self.database.queues.find_one({"p_q": f"{self.project}/{queue}"})

    def counter(self, queue):
        return self.queue(queue)["c"]["v"]

    def all(self, queue):
        found = self.database.messages(self.project, queue).find({"p_q": self.scope(queue)})
        return list(found.sort("k"))

    def one(self, queue, message):
        key = {"_id": bson.ObjectId(message), "p_q": self.scope(queue)}
        return self.database.messages(self.project, queue).find_one(key)

    def scope(self, queue):
        return f"{self.project}/{queue}"

    def change(self, queue, fields, **condition):
        """Sets fields of the queue's messages, behind the servers' backs."""
        changed = self.database.messages(self.project, queue).update_many(
            {"p_q": self.scope(queue), **condition}, {"$set": fields}
        )
        assert changed.matched_count, f"no message of {queue} to age"

    def end_claims(self, queue):
        """Every claim of the queue ended a second ago."""
        self.change(queue, {"c.e": now() - 1})

    def end_delays(self, queue):
        self.change(queue, {"d": now() - 1})

    def end_lives(self, queue, message):
        past = datetime.datetime.fromtimestamp(now() - 1, datetime.UTC)
        self.change(queue, {"e": past}, _id=bson.ObjectId(message))


def queue_in_partition(project, stem, number):
    """A name that begins with `stem`, of a queue in that partition."""
    suffixes = (f"{stem}-{suffix}" for suffix in range(100))
    return next(name for name in suffixes if partition(project, name) == number)


def kind(value):
    """The BSON type; 32 and 64 bit integers are one."""
    match value:
        case None:
            return "null"
        case bool():
            return "bool"
        case int():
            return "int"
        case bson.Binary():
            return f"binary {value.subtype}"
        case dict():
            return shape(value)
        case bytes():
            return "binary 0"
    return {bson.ObjectId: "id", datetime.datetime: "date", str: "string", list: "array",
            float: "double"}[type(value)]


def shape(document):
    """The names of a document's fields, each with its type."""
    return {name: kind(value) for name, value in document.items()}
