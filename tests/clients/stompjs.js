// Drives @stomp/stompjs as its documentation shows, over ws.

import { Client } from "@stomp/stompjs";
import { WebSocket } from "ws";
import { obey, options, tell } from "./driver.js";

Object.assign(globalThis, { WebSocket });
const subscriptions = new Map();
const wanted = new Map();
let pending = [];

const client = new Client({
  brokerURL: options.url,
  connectHeaders: options.token ? { login: "viewer", passcode: options.token } : {},
  reconnectDelay: options.reconnect ?? 0,
  heartbeatIncoming: 10000,
  heartbeatOutgoing: 10000,
  onConnect: (frame) => {
    tell("connected", { headers: frame.headers });
    for (const [id, facts] of wanted) subscribe(id, facts);
  },
  onStompError: (frame) => tell("error", { headers: frame.headers, body: frame.body }),
  onWebSocketClose: (closed) => tell("closed", { code: closed.code }),
});

function subscribe(id, { destination, headers = {}, hold }) {
  const receipt = `receipt-${id}-${Date.now()}`;
  client.watchForReceipt(receipt, () => tell("subscribed", { id }));
  const take = (message) => {
    const { offset, replay, destination: from, topic } = message.headers;
    tell("message", { id, destination: from, topic, offset: Number(offset), replay, body: message.body });
    if (headers.ack) {
      if (hold) pending.push(message);
      else message.ack();
    }
  };
  subscriptions.set(id, client.subscribe(destination, take, { ...headers, id, receipt }));
}

obey({
  subscribe: ({ id, ...facts }) => {
    if (options.reconnect) wanted.set(id, facts);
    subscribe(id, facts);
  },
  unsubscribe: ({ id }) => subscriptions.get(id).unsubscribe(),
  acknowledge: () => {
    for (const message of pending) message.ack();
    pending = [];
  },
  publish: ({ destination, body, receipt }) => {
    if (receipt) client.watchForReceipt(receipt, () => tell("receipt", { receipt }));
    client.publish({ destination, body, headers: receipt ? { receipt } : {} });
  },
  disconnect: () => client.deactivate(),
});
client.activate();
