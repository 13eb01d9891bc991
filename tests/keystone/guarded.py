"""nusku, and Zaqar for comparison, where nobody gets in without a token."""

import contextlib
import uuid

from api import Client
from people import SERVICE_USER, password_of
from servers import Server, Zaqar, running

SIGNING_KEY = "the-key-of-the-tests"

# How long nusku waits for Keystone, in seconds: enough where everything is slow.
PATIENCE_SECONDS = 6

ZAQAR_SETTINGS = """
[DEFAULT]
auth_strategy = keystone
admin_mode = true
pooling = true
[pooling:catalog]
enable_virtual_pool = true
[signed_url]
secret_key = {key}
[oslo_policy]
policy_file = {policy}
[keystone_authtoken]
auth_type = password
auth_url = {keystone.url}
www_authenticate_uri = {keystone.url}
username = {user}
password = {password}
project_name = service
user_domain_id = default
project_domain_id = default
service_token_roles_required = true
"""


class Caller(Client):
    """Somebody with a token, and with whatever other headers."""

    def __init__(self, server, token, **headers):
        super().__init__(server.kind, server.url, None, str(uuid.uuid4()))
        self.headers = {"Client-ID": self.client}
        if token is not None:
            self.headers["X-Auth-Token"] = token
        self.headers |= {name.replace("_", "-"): value for name, value in headers.items()}


class Guarded:
    """What both servers have in common here."""

    def answers(self):
        with contextlib.suppress(OSError), contextlib.closing(Caller(self, None)) as client:
            return client.call("GET", "/v2/ping").status == 401


class GuardedNusku(Guarded, Server):
    kind = "nusku"

    def __init__(self, binary, name, scratch, keystone, settings):
        super().__init__(name, scratch)
        auth = {
            "AUTH_URL": keystone.url, "USERNAME": SERVICE_USER,
            "PASSWORD": password_of(SERVICE_USER), "PROJECT_NAME": "service",
            "USER_DOMAIN_ID": "default", "PROJECT_DOMAIN_ID": "default",
            "HTTP_REQUEST_TIMEOUT": str(PATIENCE_SECONDS),
        }
        environment = {f"NUSKU_AUTH__KEYSTONE__{name}": value for name, value in auth.items()}
        self.spawn(
            [binary, "serve", "--port", "0", "--admin_mode",
             "--storage", f"embedded:{scratch / name}"],
            NUSKU_AUTH__STRATEGY="keystone",
            NUSKU_WEBSOCKET__ENABLED="false",
            NUSKU_SIGNED_URL__SECRET_KEY=SIGNING_KEY,
            **{**environment, **settings},
        )
        try:
            said = self.until(lambda: self.said(r"listens on (\S+)"), "nusku does not start")
            self.url = said[1]
            self.until(self.answers, "nusku does not answer")
        except BaseException:
            self.stop()
            raise


class GuardedZaqar(Guarded, Zaqar):
    """The real one, as its middleware is set up by default."""


class Troupe:
    """Starts servers that believe one Keystone.

    `binary` is nusku's program, or the word `zaqar`; then `mongod` is where that
    keeps its queues.
    """

    def __init__(self, binary, scratch, keystone, mongod=None):
        self.binary, self.scratch, self.keystone, self.mongod = binary, scratch, keystone, mongod
        self.started = 0

    @property
    def is_zaqar(self):
        return self.binary == "zaqar"

    def server(self, policy=None, cache_seconds=300, **settings):
        """With a file of policies, and other settings of nusku, by their names in
        the environment."""
        self.started += 1
        name = f"{self.started:02}-server"
        if self.is_zaqar:
            more = ZAQAR_SETTINGS.format(
                keystone=self.keystone, key=SIGNING_KEY, policy=policy or "policy.yaml",
                user=SERVICE_USER, password=password_of(SERVICE_USER))
            return running(GuardedZaqar, name, self.scratch, self.mongod, "mongodb",
                           f"keystone{self.started}", more)
        settings["NUSKU_AUTH__KEYSTONE__TOKEN_CACHE_TIME"] = str(cache_seconds)
        if policy:
            settings["NUSKU_POLICY__FILE"] = str(policy)
        return running(GuardedNusku, self.binary, name, self.scratch, self.keystone, settings)
