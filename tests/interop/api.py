"""A client of the v2 API that shows answers as they are."""

import http.client
import json
import urllib.parse

JSON_PATCH = "application/openstack-messaging-v2.0-json-patch"
TIMEOUT_SECONDS = 90


class Answer:
    """A response: status, headers, and the JSON text of its body, if any."""

    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.text = response.read().decode()

    @property
    def document(self):
        return json.loads(self.text) if self.text else None


class Client:
    """Someone with a Client-ID in a project of a server; one at a time.

    `kind` is who wrote the server. Methods that name what they do expect that
    it works, and give back what came of it.
    """

    def __init__(self, kind, url, project, client):
        self.kind, self.project, self.client = kind, project, client
        address = urllib.parse.urlsplit(url)
        self.connection = http.client.HTTPConnection(
            address.hostname, address.port, timeout=TIMEOUT_SECONDS
        )
        self.headers = {"Client-ID": client, "X-Project-ID": project}

    def close(self):
        self.connection.close()

    def call(self, method, path, document=None, **headers):
        """Any request; a document that is text is sent as it is."""
        if document is not None and not isinstance(document, str):
            document = json.dumps(document)
        body = None if document is None else document.encode()
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request(method, path, body, {**self.headers, **headers})
        return Answer(self.connection.getresponse())

    def expect(self, status, method, path, document=None, **headers):
        answer = self.call(method, path, document, **headers)
        assert answer.status == status, (
            f"{self.kind}: {method} {path}: {answer.status}, not {status}: {answer.text[:300]}"
        )
        return answer

    # ------------------------------------------------------------- queues

    def create(self, queue, metadata=None, status=201):
        self.expect(status, "PUT", f"/v2/queues/{queue}", metadata)

    def metadata(self, queue):
        return self.expect(200, "GET", f"/v2/queues/{queue}").document

    def patch(self, queue, *operations, status=200):
        """Operations are (op, key) or (op, key, value)."""
        changes = []
        for op, key, *value in operations:
            change = {"op": op, "path": f"/metadata/{key}"}
            changes.append({**change, "value": value[0]} if value else change)
        path = f"/v2/queues/{queue}"
        return self.expect(status, "PATCH", path, changes, Content_Type=JSON_PATCH).document

    def drop(self, queue):
        self.expect(204, "DELETE", f"/v2/queues/{queue}")

    def queues(self, **query):
        return self.expect(200, "GET", f"/v2/queues{encoded(query)}").document

    def stats(self, queue):
        return self.expect(200, "GET", f"/v2/queues/{queue}/stats").document["messages"]

    def purge(self, queue):
        self.expect(204, "POST", f"/v2/queues/{queue}/purge", {"resource_types": ["messages"]})

    # ----------------------------------------------------------- messages

    def post(self, queue, *messages):
        """The ids of the messages, in order."""
        path = f"/v2/queues/{queue}/messages"
        answer = self.expect(201, "POST", path, {"messages": messages})
        return [href.split("/")[-1] for href in answer.document["resources"]]

    def post_bodies(self, queue, *bodies):
        return self.post(queue, *({"body": body, "ttl": 300} for body in bodies))

    def page(self, queue, **query):
        """A page and the link to the next: (messages, path or None)."""
        return self.follow(f"/v2/queues/{queue}/messages{encoded(query)}")

    def follow(self, path):
        document = self.expect(200, "GET", path).document
        links = document["links"]
        return document["messages"], links[0]["href"] if links else None

    def message(self, queue, message, status=200):
        return self.expect(status, "GET", f"/v2/queues/{queue}/messages/{message}").document

    def messages(self, queue, ids, status=200):
        path = f"/v2/queues/{queue}/messages?ids={','.join(ids)}"
        document = self.expect(status, "GET", path).document
        return document["messages"] if status == 200 else document

    def delete(self, queue, message, claim=None, status=204):
        claim_id = f"?claim_id={claim}" if claim else ""
        self.expect(status, "DELETE", f"/v2/queues/{queue}/messages/{message}{claim_id}")

    def delete_many(self, queue, ids):
        self.expect(204, "DELETE", f"/v2/queues/{queue}/messages?ids={','.join(ids)}")

    def pop(self, queue, count):
        path = f"/v2/queues/{queue}/messages?pop={count}"
        return self.expect(200, "DELETE", path).document["messages"]

    # ------------------------------------------------------------- claims

    def claim(self, queue, limit=10, ttl=300, grace=60):
        """The claim's id and messages, or (None, [])."""
        path = f"/v2/queues/{queue}/claims?limit={limit}"
        answer = self.call("POST", path, {"ttl": ttl, "grace": grace})
        if answer.status == 204:
            return None, []
        assert answer.status == 201, f"{self.kind}: POST {path}: {answer.status}: {answer.text}"
        return answer.headers["Location"].split("/")[-1], answer.document["messages"]

    def claimed(self, queue, claim, status=200):
        return self.expect(status, "GET", f"/v2/queues/{queue}/claims/{claim}").document

    def renew(self, queue, claim, status=204, **life):
        self.expect(status, "PATCH", f"/v2/queues/{queue}/claims/{claim}", life)

    def release(self, queue, claim):
        self.expect(204, "DELETE", f"/v2/queues/{queue}/claims/{claim}")


def encoded(query):
    return "?" + urllib.parse.urlencode(query) if query else ""


def ids_of(messages):
    return [message["id"] for message in messages]


def bodies_of(messages):
    return [message["body"] for message in messages]


def as_text(document):
    """JSON text that tells 1 from 1.0 and from true, and keeps the order of keys."""
    return json.dumps(document)
