/** A WebSocket whose other side is the test. */
export class FakeSocket {
  static all = [];
  static get last() {
    return FakeSocket.all[FakeSocket.all.length - 1];
  }

  readyState = 0;
  sent = [];

  constructor(url, protocols) {
    this.url = url;
    this.protocols = protocols;
    FakeSocket.all.push(this);
  }

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close() {
    this.readyState = 3;
  }

  /** The handshake succeeds and the gateway says welcome. */
  welcome(fields = {}) {
    this.readyState = 1;
    this.onopen?.();
    this.say({ type: "welcome", version: 1, gateway: "test", build: "1", session: "s", epoch: "E", offset: 0, timestamp: 1000, clock: "ok", role: "viewer", heartbeat: 20, limits: {}, upstreams: [], ...fields });
  }

  say(event) {
    this.onmessage?.({ data: JSON.stringify(event) });
  }

  message(topic, offset, data = offset, more = {}) {
    this.say({ type: "message", topic, data, timestamp: 1000 + offset, offset, ...more });
  }

  /** Grants the newest subscribe and ends its replay, after these messages. */
  grant(offset, messages = []) {
    const command = this.sent.findLast(({ type }) => type === "subscribe");
    this.say({ type: "ok", id: command.id, subscribed: command.topics.map((filter) => ({ filter, granted: true, reason: null })) });
    for (const [topic, at] of messages) this.message(topic, at, at, { replay: true });
    if (command.replay !== "none") this.say({ type: "replayed", id: command.id, count: messages.length, complete: true, offset });
  }

  end(code, reason = "") {
    this.readyState = 3;
    this.onclose?.({ code, reason });
  }
}

/** Lets timers of no delay and microtasks run. */
export const turn = () => new Promise((resolve) => setTimeout(resolve, 5));

/** Waits until something holds. */
export async function until(condition, what = "condition", limit = 5000) {
  const end = Date.now() + limit;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
