"""Tokens that end: by the clock, by decree, and with a service's word for them."""

import datetime
import time

# How long a server may go on believing a token that is revoked.
MEMORY_SECONDS = 1

# Long enough to be used once on a slow machine.
LIFE_SECONDS = 8

# Far from the 300 seconds for which a token is remembered otherwise.
SLACK_SECONDS = 20


def expired(stage, server):
    """A token is not believed beyond its end, however long it may be remembered."""
    check, people = stage.check, stage.people
    end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=LIFE_SECONDS)
    credential = people.application_credential(
        "blue-member", "for-a-moment", expires_at=end.strftime("%Y-%m-%dT%H:%M:%S.000000"))
    token = people.token_of_credential(credential)
    check.equal(stage.status(server, token), 200, "while it lives")
    stage.becomes(lambda: stage.status(server, token), 401, "when it has ended",
                  seconds=LIFE_SECONDS + SLACK_SECONDS)
    stage.unauthorized(stage.ask(server, token), "an expired token")


def service_tokens(stage, server):
    """A service speaks for somebody, even when that one's token has ended."""
    check, people, keystone = stage.check, stage.people, stage.keystone
    keystone.stop()
    keystone.start(token_seconds=2)
    ended = people.token("blue-member")
    # Keystone rounds its seconds down.
    deadline = time.monotonic() + 2
    keystone.stop()
    keystone.start()
    people.meet_administrator()
    time.sleep(max(0, deadline - time.monotonic()))

    token = people.token("blue-member")
    speaker, impostor = people.token("speaker"), people.token("impostor")
    check.equal(stage.status(server, token, X_Service_Token=speaker), 200, "a service")
    for what, service in [("someone without the role", impostor), ("nobody", "forged"),
                          ("the expired", ended)]:
        stage.unauthorized(stage.ask(server, token, X_Service_Token=service), f"{what} as service")
        stage.unauthorized(stage.ask(server, ended, X_Service_Token=service),
                           f"an expired token with {what} as service")
    stage.unauthorized(stage.ask(server, ended), "an expired token alone")
    check.equal(stage.status(server, ended, X_Service_Token=speaker), 200,
                "an expired token with a service")
    stage.unauthorized(stage.ask(server, ended), "and then alone again")
    stage.unauthorized(stage.ask(server, "forged", X_Service_Token=speaker), "forged all the same")
    stage.unauthorized(stage.ask(server, None, X_Service_Token=speaker), "a service alone")
    check.equal(stage.status(server, token, "GET", "/v2/health", X_Service_Token=speaker), 403,
                "the roles are those of the user")


def revoked(stage):
    """Within the time that a server may remember a token, here a second. Each process
    of a Zaqar remembers tokens by itself, so that there one may still get in by chance.
    """
    check, people = stage.check, stage.people
    with stage.troupe.server(cache_seconds=MEMORY_SECONDS) as server:
        token, other = people.token("blue-member"), people.token("blue-member")
        guest = people.token("blue-guest")
        for it in (token, other, guest):
            check.equal(stage.status(server, it), 200, "before")
        people.revoke(token)
        people.revoke_grant("blue-guest", "blue", "member")
        for it, what in [(token, "revoked"), (guest, "without its role")]:
            stage.becomes(lambda it=it: stage.status(server, it), 401, what,
                          seconds=MEMORY_SECONDS + SLACK_SECONDS)
            stage.unauthorized(stage.ask(server, it), what)
        check.equal(stage.status(server, other), 200, "another token of the same user")


ON_A_SERVER = [expired, service_tokens]
ALONE = [revoked]
