"""Admin, member and reader: by default, and by a policy file that changes."""

import contextlib

from guarded import Caller

READERS_READ = """\
"messages:create": "role:member or role:admin"
"messages:delete": "not role:reader"
"queues:create": "role:member"
"queues:delete": "rule:context_is_admin"
"""
NOBODY_POSTS = '"messages:create": "!"\n'

POST = {"messages": [{"body": 1, "ttl": 300}]}
REFUSAL = {"title": "Not authorized",
           "description": "You are not authorized to complete this action."}


def by_default(stage, server):
    check, people = stage.check, stage.people
    for user, health in [("blue-admin", 200), ("blue-member", 403), ("blue-reader", 403)]:
        token = people.token(user)
        check.equal(stage.status(server, token, "GET", "/v2/health"), health, f"{user}: health")
        check.equal(stage.status(server, token, "POST", "/v2/queues/open/messages", POST), 201,
                    f"{user}: a post is open to all in the project")
    answer = stage.ask(server, people.token("blue-member"), "GET", "/v2/health")
    check.equal(answer.document, REFUSAL, "a refusal")
    check.equal(stage.status(server, people.token("blue-admin"), "DELETE", "/v2/queues/open"), 204,
                "gone")


def by_file(stage):
    check, people = stage.check, stage.people
    policy = (stage.scratch / "policy.yaml").resolve()
    policy.write_text(READERS_READ)
    with stage.troupe.server(policy=policy) as server, contextlib.ExitStack() as stack:
        admin, member, reader = (
            stack.enter_context(contextlib.closing(Caller(server, people.token(user))))
            for user in ("blue-admin", "blue-member", "blue-reader"))

        def tries(who, status, method, path, document=None):
            answer = who.expect(status, method, f"/v2/queues{path}", document)
            if status == 403:
                check.equal(answer.document, REFUSAL, f"{method} {path}: the refusal")

        tries(reader, 403, "PUT", "/orders")
        tries(member, 201, "PUT", "/orders")
        tries(reader, 403, "POST", "/orders/messages", POST)
        tries(reader, 403, "POST", "/orders/messages", "not even JSON")
        tries(admin, 201, "POST", "/orders/messages", POST)
        (message,) = member.post("orders", {"body": 2, "ttl": 300})
        check.equal(len(reader.page("orders")[0]), 2, "a reader reads")
        tries(reader, 403, "DELETE", f"/orders/messages/{message}")
        check.equal(member.message("orders", message)["body"], 2, "it is still there")
        tries(member, 403, "DELETE", "/orders")
        tries(admin, 204, "DELETE", "/orders")
        check.equal(admin.call("GET", "/v2/health").status, 200, "other rules are as they were")

        policy.write_text(NOBODY_POSTS)
        path = "/v2/queues/orders/messages"
        stage.becomes(lambda: member.call("POST", path, POST).status, 403, "a changed file counts")
        check.equal(reader.call("PUT", "/v2/queues/bills").status, 201, "all of it")
        if not stage.troupe.is_zaqar:
            keeps_the_last_good_one(stage, server, policy, member, path)


def keeps_the_last_good_one(stage, server, policy, member, path):
    """Zaqar answers everything with 500 then."""
    policy.write_text('"messages:create": "role:')
    stage.becomes(lambda: bool(server.said("ERROR.*policy.yaml")), True, "a broken file is told of")
    stage.check.equal(member.call("POST", path, POST).status, 403, "and the last good one stays")
    policy.write_text("")
    stage.becomes(lambda: member.call("POST", path, POST).status, 201, "until it is mended")


ON_A_SERVER = [by_default]
ALONE = [by_file]
