/**
 * A link to the gateway over WebSocket: objects in, objects out.
 */

/**
 * @typedef {object} LinkEvents
 * @property {() => void} ready commands may be sent; over WebSocket that is when `welcome` has come
 * @property {(event: any) => void} heard every object the gateway sends
 * @property {(code: number, reason: string) => void} ended once, however it ended; 1006 where nobody said why
 */

const PROTOCOL = "sensor-gateway.v1.json";

/**
 * A token as a subprotocol's name: base64url of its UTF-8 bytes.
 * @param {string} token
 */
function bearer(token) {
  const bytes = new TextEncoder().encode(token);
  return "bearer." + btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

export class SocketLink {
  /** @type {any} */
  #socket;
  /** @type {LinkEvents} */
  #events;
  #over = false;
  #welcomed = false;
  /** Whether the handshake ever succeeded: where it never did, WebSocket may be blocked on the way. */
  opened = false;
  transport = /** @type {"websocket"} */ ("websocket");

  /**
   * @param {URL} base the gateway's address, ending in a slash
   * @param {{WebSocket: any, token?: string}} options
   * @param {LinkEvents} events
   */
  constructor(base, { WebSocket, token }, events) {
    this.#events = events;
    const url = new URL("stream", base);
    url.protocol = base.protocol === "https:" ? "wss:" : "ws:";
    // The token goes into the handshake so that a role above the anonymous one holds from the first message on.
    this.#socket = new WebSocket(url.href, token ? [PROTOCOL, bearer(token)] : [PROTOCOL]);
    this.#socket.onopen = () => {
      this.opened = true;
    };
    this.#socket.onmessage = (/** @type {{data: any}} */ { data }) => {
      if (this.#over || typeof data !== "string") return;
      const event = JSON.parse(data);
      this.#events.heard(event);
      // It comes again when something in it changes.
      if (event.type === "welcome" && !this.#welcomed) {
        this.#welcomed = true;
        this.#events.ready();
      }
    };
    this.#socket.onclose = (/** @type {{code: number, reason: string}} */ { code, reason }) => this.#end(code, reason);
    // The close event that follows says all there is to know; Node's `ws` throws where nobody listens.
    this.#socket.onerror = () => {};
  }

  /** @param {object} command */
  send(command) {
    if (this.#socket.readyState === 1) this.#socket.send(JSON.stringify(command));
  }

  /**
   * Ends the link. A socket that is dead would answer the close handshake in minutes, so nobody waits for it.
   * @param {number} [code]
   * @param {string} [reason]
   */
  end(code = 1000, reason = "") {
    if (this.#over) return;
    try {
      this.#socket.close(1000);
    } catch {
      // `ws` throws when it is closed while connecting; it is closed all the same.
    }
    this.#end(code, reason);
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  #end(code, reason) {
    if (this.#over) return;
    this.#over = true;
    this.#events.ended(code, String(reason ?? ""));
  }
}
