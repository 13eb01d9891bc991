"""Who gets in at all, and that nobody is who a header says."""

import contextlib

from guarded import Caller

POST = {"messages": [{"body": "for the green", "ttl": 300}]}


def two_projects(stage, server):
    check, people = stage.check, stage.people
    with contextlib.closing(Caller(server, people.token("blue-member"))) as blue, \
            contextlib.closing(Caller(server, people.token("green-member"))) as green:
        blue.create("orders", {"team": "blue"})
        green.create("orders", {"team": "green"})
        (message,) = blue.post("orders", {"body": "blue", "ttl": 300})
        check.equal(green.page("orders", echo="true")[0], [], "the others see no message")
        green.message("orders", message, status=404)
        green.delete("orders", message)
        check.equal(blue.message("orders", message)["body"], "blue", "nor can delete it")
        claim, _ = blue.claim("orders")
        green.claimed("orders", claim, status=404)
        check.equal(green.stats("orders")["total"], 0, "nor count it")
        green.drop("orders")
        check.equal(blue.metadata("orders")["team"], "blue", "nor drop the queue")
        check.equal(green.queues()["queues"], [], "their own is gone")
        blue.drop("orders")


def spoofed_headers(stage, server):
    """They say nothing beside a token, and nothing without one."""
    check, people = stage.check, stage.people
    green = people.projects["green"]
    lies = [
        {"X_Project_ID": green}, {"X_Tenant_ID": green}, {"X_Tenant": green},
        {"X_Project_Id": green, "X_Roles": "admin", "X_Role": "admin", "X_User_ID": "root",
         "X_Identity_Status": "Confirmed", "X_System_Scope": "all",
         "X_Is_Admin_Project": "True", "X_Service_Roles": "service,admin"},
    ]
    token = people.token("blue-member")
    with contextlib.closing(Caller(server, people.token("green-member"))) as owner:
        owner.create("orders", {})
        owner.post_bodies("orders", 1)
        for lie in lies:
            answer = stage.ask(server, token, **lie)
            check.equal(answer.document["queues"], [], f"{lie}: the project is the token's")
            stage.ask(server, token, "DELETE", "/v2/queues/orders", **lie)
            check.equal(stage.status(server, token, "GET", "/v2/health", **lie), 403,
                        f"{lie}: and so are the roles")
            stage.unauthorized(stage.ask(server, None, **lie), f"{lie} alone")
            extra = {**lie, "Extra_Spec": "messagecode:a"}
            stage.unauthorized(stage.ask(server, None, **extra), f"{extra} alone")
            signed = {**lie, "URL_Signature": ""}
            check.equal(stage.status(server, None, **signed), 404, f"{signed} alone")
        check.equal(owner.stats("orders")["total"], 1, "nothing was touched")
        owner.drop("orders")


def nobody(stage, server):
    """401 comes before whatever else is wrong."""
    good = stage.people.token("blue-member")
    forged = {
        "no token": None, "an empty one": "", "a word": "admin", "a long one": "g" * 4000,
        "a shortened one": good[:-4], "one with a change": f"{good[:40]}x{good[41:]}",
    }
    for what, token in forged.items():
        stage.unauthorized(stage.ask(server, token), what)
    for method, path in [("GET", "/v2"), ("GET", "/v2/ping"), ("GET", "/nowhere"),
                         ("PUT", "/v2/queues/no%20such%20name"), ("TRACE", "/v2/queues"),
                         ("POST", "/v2/queues/orders/messages"), ("GET", "/v2/health")]:
        stage.unauthorized(stage.ask(server, None, method, path), f"{method} {path}")
    stage.check.equal(stage.status(server, None, "GET", "/"), 300, "the versions are for all")
    stage.check.equal(stage.status(server, good), 200, "the token itself is good")


def scopes(stage, server):
    """A token without a project gets no further than a request without one."""
    check, people = stage.check, stage.people
    people.grant_system("blue-admin", "admin")
    people.grant_domain("blue-admin", "admin")
    tokens = {
        "of the system": people.token("blue-admin", scope={"system": {"all": True}}),
        "of a domain": people.token("blue-admin", scope={"domain": {"id": "default"}}),
        "of nothing": people.token("blue-guest", scope="unscoped"),
    }
    for what, token in tokens.items():
        answer = stage.ask(server, token)
        check.equal((answer.status, answer.document["title"]), (400, "Project-Id Missing"),
                    f"a token {what}")
        answer = stage.ask(server, token, X_Project_ID=people.projects["green"])
        check.equal((answer.status, answer.document["title"]), (400, "Project-Id Missing"),
                    f"a token {what}, and a project in a header")


def application_credentials(stage, server):
    check, people = stage.check, stage.people
    owner = people.token("blue-member")
    check.equal(stage.status(server, owner, "PUT", "/v2/queues/shared"), 201, "a queue")
    credential = people.application_credential("blue-member", "robot")
    token = people.token_of_credential(credential)
    answer = stage.ask(server, token)
    check.equal([one["name"] for one in answer.document["queues"]], ["shared"],
                "an application credential is in the project of its user")
    check.equal(stage.status(server, token, "GET", "/v2/health"), 403, "with its roles")
    check.equal(stage.status(server, owner, "DELETE", "/v2/queues/shared"), 204, "gone")


ALL = [two_projects, spoofed_headers, nobody, scopes, application_credentials]
