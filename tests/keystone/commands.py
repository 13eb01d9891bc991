"""Every `openstack messaging` command, through python-openstackclient."""

import contextlib
import json

from guarded import Caller
from openstack import OpenStack

CLIENT = "3381af92-2b9e-11e3-b191-71861300734c"

def queues(check, it):
    check.equal(it.show("queue create", "orders"), {"Name": "orders"}, "create")
    it.do("queue set metadata", "orders", '{"team": "sales", "_default_message_ttl": 90}')
    shown = it.show("queue get metadata", "orders")["Metadata"]
    check.equal((shown["team"], shown["_default_message_ttl"]), ("sales", 90), "metadata")
    it.do("queue set metadata", "orders", '{"floor": 3}')
    shown = it.show("queue get metadata", "orders")["Metadata"]
    check.equal((shown.get("team"), shown["floor"]), (None, 3), "metadata is replaced")
    check.equal(shown["_default_message_ttl"], 3600, "and so are the settings of the queue")

    it.do("queue create", "bills")
    check.equal(it.show("queue list"), [{"Name": "bills"}, {"Name": "orders"}], "list")
    check.equal(it.show("queue list", "--marker", "bills", "--limit", "1", "--with_count"),
                [{"Name": "orders"}], "list behind a marker")
    (one,) = it.show("queue list", "--detailed", "--limit", "1")
    check.equal(one["Href"], "/v2/queues/bills", "a detailed list")
    check.equal(it.show("queue list", user="green-member"), [], "another project has none")
    it.do("queue delete", "bills")
    check.equal(it.show("queue list"), [{"Name": "orders"}], "delete")


def messages(check, it):
    it.do("message post", "orders", json.dumps([{"body": {"n": 1}, "ttl": 300},
                                                {"body": "two", "ttl": 300},
                                                {"body": 3, "ttl": 90}]))
    listed = it.show("message list", "orders", "--echo")
    check.equal([(one["Body"], one["TTL"]) for one in listed],
                [({"n": 1}, 300), ("two", 300), (3, 90)], "post and list")
    check.equal(it.show("message list", "orders"), [], "without echo one's own are left out")
    ids = [one["ID"] for one in listed[:2]]
    chosen = it.show("message list", "orders", "--message-ids", ",".join(ids))
    check.equal({one["ID"] for one in chosen}, set(ids), "by their ids")
    stats = it.show("queue stats", "orders")["Stats"]["messages"]
    check.equal((stats["free"], stats["total"]), (3, 3), "stats")
    check.equal(it.show("message list", "orders", "--echo", user="green-member"), [],
                "another project sees no message")


def claims(check, it):
    claimed = it.show("claim create", "orders", "--ttl", "100", "--grace", "70", "--limit", "2")
    check.equal([one["Messages"] for one in claimed], [{"n": 1}, "two"], "claim")
    claim = claimed[0]["Claim_ID"]
    found = it.show("claim query", "orders", claim)
    check.equal([one["Message"] for one in found], [{"n": 1}, "two"], "query")
    it.show("claim renew", "orders", claim, "--ttl", "400", "--grace", "60")
    listed = it.show("message list", "orders", "--echo", "--include-claimed", "--limit", "1")
    check.equal([one["TTL"] for one in listed], [460], "a renewed claim lengthens lives")
    check.true(it.call("claim query", "orders", claim, user="green-member").returncode,
               "another project does not see the claim")
    it.do("claim release", "orders", claim)
    stats = it.show("queue stats", "orders")["Stats"]["messages"]
    check.equal((stats["claimed"], stats["free"]), (0, 3), "release")


def signed_urls(check, it, server):
    lent = it.show("queue signed url", "orders", "--paths", "messages",
                   "--ttl-seconds", "600", "--methods", "GET")
    headers = {"URL-Signature": lent["Signature"], "URL-Expires": lent["Expires"],
               "URL-Methods": lent["Methods"], "URL-Paths": lent["Paths"],
               "X-Project-ID": lent["Project ID"]}
    with contextlib.closing(Caller(server, None, **headers)) as borrower:
        listed, _ = borrower.page("orders")
        check.equal([one["body"] for one in listed], [{"n": 1}, "two", 3], "works without a token")
        borrower.expect(404, "POST", "/v2/queues/orders/messages",
                        {"messages": [{"body": 1, "ttl": 60}]})
        borrower.headers.pop("URL-Signature")
        check.equal(borrower.call("GET", "/v2/queues/orders/messages").status, 401,
                    "without the signature it is a request without a token")


def subscriptions(check, it):
    hook = "http://127.0.0.1:9/hook"
    made = it.show("subscription create", "orders", hook, "600")
    check.equal((made["Subscriber"], made["TTL"]), (hook, 600), "create")
    shown = it.show("subscription show", "orders", made["ID"])
    check.equal((shown["Subscriber"], shown["Confirmed"]), (hook, False), "show")
    it.show("subscription update", "orders", made["ID"], "--ttl", "700", "--subscriber", hook)
    listed = it.show("subscription list", "orders")
    check.equal([(one["ID"], one["TTL"]) for one in listed], [(made["ID"], 700)], "list")
    it.do("subscription delete", "orders", made["ID"])
    check.equal(it.show("subscription list", "orders"), [], "delete")


def purging(check, it):
    it.do("queue purge", "orders", "--resource_types", "messages")
    check.equal(it.show("queue stats", "orders")["Stats"]["messages"]["total"], 0, "purge")
    it.do("queue delete", "orders")


def server_wide(check, it):
    check.equal(it.show("ping"), {"Pingable": True}, "ping")
    home = json.loads(it.do("homedoc"))
    check.true("rel/queues" in home["resources"], "the home document")
    health = json.loads(it.do("health", user="blue-admin"))
    check.true(health, "health")
    refused(check, it.call("health"), "health")


def pools(check, it, uris):
    first, second = uris
    admin = {"user": "blue-admin"}
    made = it.show("pool create", "disk-1", first, "10", **admin)
    check.equal((made["Name"], made["URI"], made["Weight"]), ("disk-1", first, 10), "create")
    it.show("pool create", "disk-2", second, "20", "--pool_options", "{}", **admin)
    shown = it.show("pool show", "disk-1", **admin)
    check.equal((shown["Weight"], shown["Flavor"]), (10, None), "show")
    changed = it.show("pool update", "disk-1", "--pool_weight", "30", **admin)
    check.equal(changed["Weight"], 30, "update")
    listed = it.show("pool list", "--detailed", **admin)
    check.equal([(one["Name"], one["Weight"]) for one in listed],
                [("disk-1", 30), ("disk-2", 20)], "list")

    made = it.show("flavor create", "fast", "--pool_list", "disk-1", **admin)
    check.equal(made["Pool list"], ["disk-1"], "a flavor")
    check.true(it.show("flavor show", "fast", **admin)["Capabilities"], "its capabilities")
    changed = it.show("flavor update", "fast", "--pool_list", "disk-2", **admin)
    check.equal(changed["Pool_list"], ["disk-2"], "its pools change")
    (listed,) = it.show("flavor list", "--detailed")
    check.equal((listed["Name"], listed["Pool list"]), ("fast", ["disk-2"]), "anybody lists them")
    for command, *words in [("pool create", "disk-3", first, "1"), ("pool show", "disk-1"),
                            ("pool update", "disk-1", "--pool_weight", "1"), ("pool list",),
                            ("pool delete", "disk-1"), ("flavor delete", "fast"),
                            ("flavor create", "slow", "--pool_list", "disk-1"),
                            ("flavor update", "fast", "--pool_list", "disk-1")]:
        refused(check, it.call(command, *words), command)
    it.do("flavor delete", "fast", **admin)
    it.do("pool delete", "disk-1", **admin)
    check.equal([one["Name"] for one in it.show("pool list", **admin)], ["disk-2"], "delete")


def refused(check, ended, what):
    check.true(ended.returncode and "403" in ended.stderr, f"{what}: only an admin may")


def of_pools(check, stage, it):
    """On a server that has pools, where the catalogue says."""
    settings = {"NUSKU_POOLING__ENABLED": "true", "NUSKU_POOLING__ENABLE_VIRTUAL_POOL": "true"}
    if stage.troupe.is_zaqar:
        store = f"mongodb://{stage.troupe.mongod.address}/?w=majority"
        places = [store, f"{store}&journal=true"]
    else:
        places = [f"embedded:{(stage.scratch / name).resolve()}" for name in ("disk-1", "disk-2")]
    with stage.troupe.server(**settings) as server:
        stage.people.serve_at(server.url)
        pools(check, it, places)


def run(check, stage):
    """On servers of its own: they say where they are in the catalogue."""
    with stage.troupe.server() as server:
        stage.people.serve_at(server.url)
        it = OpenStack(stage.keystone, CLIENT)
        for tour in [queues, messages, claims]:
            with check.part(f"openstack messaging: {tour.__name__}"):
                tour(check, it)
        with check.part("openstack messaging: signed_urls"):
            signed_urls(check, it, server)
        for tour in [subscriptions, purging, server_wide]:
            with check.part(f"openstack messaging: {tour.__name__}"):
                tour(check, it)
    with check.part("openstack messaging: pools"):
        of_pools(check, stage, it)
    with check.part("openstack messaging: all commands"):
        check.equal(it.installed() - it.used, set(), "commands that were left out")
