"""Who there is in Keystone: projects, users, their roles, and their tokens."""

import contextlib

from keystone import ADMIN_PASSWORD

SERVICE_USER = "queuing"

# user: (project, role)
USERS = {
    "blue-admin": ("blue", "admin"),
    "blue-member": ("blue", "member"),
    "blue-reader": ("blue", "reader"),
    "blue-guest": ("blue", "member"),
    "green-member": ("green", "member"),
    # Who validates tokens, who speaks for others, and who may not.
    SERVICE_USER: ("service", "service"),
    "speaker": ("service", "service"),
    "impostor": ("service", "member"),
}


def password_of(user):
    return ADMIN_PASSWORD if user == "admin" else f"secret-of-{user}"


class People:
    """What the administrator of a Keystone sees of it, and changes."""

    def __init__(self, keystone):
        self.keystone = keystone
        self.meet_administrator()
        self.projects = self.ids("projects")
        self.roles = self.ids("roles")
        self.users = self.ids("users")
        for project in ["blue", "green", "service"]:
            self.projects[project] = self.make("project", name=project, domain_id="default")
        for user, (project, role) in USERS.items():
            self.users[user] = self.make("user", name=user, password=password_of(user),
                                         domain_id="default")
            self.grant(user, project, role)
        service = self.make("service", type="messaging", name="nusku")
        self.endpoint = self.make("endpoint", service_id=service, interface="public",
                                  region_id="RegionOne", url="http://127.0.0.1:9")

    def meet_administrator(self):
        """Again, when all tokens have become worthless."""
        self.administrator = self.token("admin", "admin")

    def administrate(self, method, path, document=None, status=None):
        with contextlib.closing(self.keystone.client(self.administrator)) as client:
            answer = client.call(method, f"/v3/{path}", document, Content_Type="application/json")
        assert answer.status in ([status] if status else [200, 201, 204]), answer.text
        return answer

    def ids(self, kind):
        return {one["name"]: one["id"] for one in self.administrate("GET", kind).document[kind]}

    def make(self, kind, **properties):
        made = self.administrate("POST", f"{kind}s", {kind: properties}, status=201)
        return made.document[kind]["id"]

    def grant(self, user, project, role):
        self.administrate("PUT", self.grant_path(user, f"projects/{self.projects[project]}", role))

    def revoke_grant(self, user, project, role):
        path = self.grant_path(user, f"projects/{self.projects[project]}", role)
        self.administrate("DELETE", path)

    def grant_system(self, user, role):
        self.administrate("PUT", self.grant_path(user, "system", role))

    def grant_domain(self, user, role):
        self.administrate("PUT", self.grant_path(user, "domains/default", role))

    def grant_path(self, user, where, role):
        return f"{where}/users/{self.users[user]}/roles/{self.roles[role]}"

    def serve_at(self, url):
        """What clients find in the catalogue as the messaging service."""
        self.administrate("PATCH", f"endpoints/{self.endpoint}", {"endpoint": {"url": url}})

    def token(self, user, project=None, scope=None):
        """For the project of the user, unless another or another scope is named;
        scope "unscoped" is none."""
        if not scope:
            project = project or USERS[user][0]
            scope = {"project": {"name": project, "domain": {"id": "default"}}}
        it = {"name": user, "password": password_of(user), "domain": {"id": "default"}}
        return self.issue({"methods": ["password"], "password": {"user": it}}, scope)

    def issue(self, identity, scope=None):
        auth = {"identity": identity, **({"scope": scope} if scope else {})}
        with contextlib.closing(self.keystone.client()) as client:
            answer = client.call("POST", "/v3/auth/tokens", {"auth": auth},
                                 Content_Type="application/json")
        assert answer.status == 201, answer.text
        return answer.headers["X-Subject-Token"]

    def application_credential(self, user, name, **properties):
        """Its id and secret; for the project and the roles of the user."""
        with contextlib.closing(self.keystone.client(self.token(user))) as client:
            answer = client.call(
                "POST", f"/v3/users/{self.users[user]}/application_credentials",
                {"application_credential": {"name": name, **properties}},
                Content_Type="application/json")
        assert answer.status == 201, answer.text
        made = answer.document["application_credential"]
        return made["id"], made["secret"]

    def token_of_credential(self, credential):
        identifier, secret = credential
        return self.issue({"methods": ["application_credential"],
                           "application_credential": {"id": identifier, "secret": secret}})

    def revoke(self, token):
        with contextlib.closing(self.keystone.client(token)) as client:
            answer = client.call("DELETE", "/v3/auth/tokens", X_Subject_Token=token)
        assert answer.status == 204, answer.text
