// The `ws` package of Node against a running server: requests, replies, and messages
// pushed to the connection. The only argument is the server's address, ws://HOST:PORT.
// The last line is "N checks passed, N failed".

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import WebSocket from "ws";

const url = process.argv[2];
if (!url) {
  console.error("usage: websocket_tour.js ws://HOST:PORT");
  process.exit(2);
}

const project = `tour-${randomUUID().slice(0, 8)}`;
let passed = 0;

function equal(actual, expected, what) {
  assert.deepEqual(actual, expected, what);
  passed += 1;
}

/** A connection: replies go to whoever asked, the rest is kept as pushed. */
class Client {
  constructor(path = "/") {
    this.waiting = [];
    this.pushed = [];
    this.listeners = [];
    this.headers = { "Client-ID": randomUUID(), "X-Project-ID": project };
    this.socket = new WebSocket(url + path);
    this.opened = new Promise((done, fail) => {
      this.socket.once("open", done);
      this.socket.once("error", fail);
    });
    this.closed = new Promise((done) => {
      this.socket.once("close", (code, reason) => done([code, reason.toString()]));
    });
    this.socket.on("message", (data, isBinary) => this.hear(JSON.parse(data), isBinary));
  }

  hear(message, isBinary) {
    if ("request" in message) {
      this.waiting.shift()(message);
    } else {
      this.pushed.push({ message, isBinary });
      for (const listener of this.listeners) listener();
    }
  }

  say(request) {
    return new Promise((done) => {
      this.waiting.push(done);
      this.socket.send(JSON.stringify(request));
    });
  }

  async ask(status, action, body = {}) {
    const reply = await this.say({ action, headers: this.headers, body });
    equal(reply.headers.status, status, `${action}: ${JSON.stringify(reply)}`);
    equal(reply.request, { action, body, headers: this.headers, api: "v2" }, action);
    return reply.body;
  }

  /** What was pushed, as soon as it is so much. */
  async told(count) {
    while (this.pushed.length < count) {
      await new Promise((done) => this.listeners.push(done));
    }
    return this.pushed.map(({ message }) => message);
  }
}

async function queues() {
  const client = new Client();
  await client.opened;
  const metadata = { team: "sales" };
  equal(
    await client.ask(201, "queue_create", { queue_name: "orders", metadata }),
    "Queue orders created.",
    "queue_create",
  );
  equal(await client.ask(200, "queue_get", { queue_name: "orders" }), metadata, "queue_get");
  const page = await client.ask(200, "queue_list", { detailed: true });
  equal(page, { queues: [{ name: "orders", metadata }] }, "queue_list");
  await client.ask(400, "claim_create", { queue_name: "orders", ttl: "60" });
  client.socket.close(1000, "enough");
  equal(await client.closed, [1000, ""], "a close is answered with its code");
}

async function work() {
  const client = new Client("/v2/websocket");
  await client.opened;
  // Many at once: replies come in the order of the requests.
  const posts = Array.from({ length: 50 }, (_, number) =>
    client.ask(201, "message_post", {
      queue_name: "work",
      messages: [{ ttl: 300, body: { number } }],
    }),
  );
  const ids = (await Promise.all(posts)).map(({ message_ids: [id] }) => id);
  const claim = await client.ask(201, "claim_create", { queue_name: "work", limit: 20 });
  equal(claim.messages.map(({ id }) => id), ids.slice(0, 20), "claims are in order");
  for (const { id } of claim.messages) {
    const message = { queue_name: "work", message_id: id, claim_id: claim.claim_id };
    await client.ask(204, "message_delete", message);
  }
  const { messages } = await client.ask(200, "queue_get_stats", { queue_name: "work" });
  equal(messages.total, 30, "what was worked on is gone");
  client.socket.close();
  await client.closed;
}

async function pushes() {
  const [reader, other, writer] = [new Client(), new Client(), new Client()];
  await Promise.all([reader.opened, other.opened, writer.opened]);
  for (const client of [reader, other]) {
    await client.ask(201, "subscription_create", { queue_name: "news", ttl: 300 });
  }
  const bodies = Array.from({ length: 100 }, (_, number) => ({ number, text: "é\u{1f600}" }));
  for (let at = 0; at < bodies.length; at += 10) {
    const messages = bodies.slice(at, at + 10).map((body) => ({ ttl: 300, body }));
    await writer.ask(201, "message_post", { queue_name: "news", messages });
  }
  const pushed = bodies.map((body) => ({
    ttl: 300,
    body,
    Message_Type: "Notification",
    queue_name: "news",
  }));
  for (const client of [reader, other]) {
    equal(await client.told(bodies.length), pushed, "each is told of each message, in order");
  }
  equal(writer.pushed, [], "who did not subscribe is told of nothing");

  reader.socket.terminate();
  await reader.closed;
  const deadline = Date.now() + 60_000;
  for (;;) {
    const page = await writer.ask(200, "subscription_list", { queue_name: "news" });
    if (page.subscriptions.length === 1) break;
    assert.ok(Date.now() < deadline, "a disconnect leaves nothing behind");
    await new Promise((done) => setTimeout(done, 20));
  }
  passed += 1;
  for (const client of [other, writer]) {
    client.socket.close();
    await client.closed;
  }
}

async function refusals() {
  const client = new Client();
  await client.opened;
  client.socket.send("x".repeat(2_000_000));
  equal((await client.closed)[0], 1009, "a message has a largest size");
}

let failed = 0;
for (const part of [queues, work, pushes, refusals]) {
  const before = passed;
  try {
    await part();
    console.log(`${part.name}: ${passed - before} checks`);
  } catch (error) {
    failed += 1;
    console.error(part.name, error);
  }
}
console.log(`${passed} checks passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
