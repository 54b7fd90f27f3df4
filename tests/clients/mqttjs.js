// Drives MQTT.js as its documentation shows.

import { readFileSync } from "node:fs";
import mqtt from "mqtt";
import { obey, options, tell } from "./driver.js";

const client = mqtt.connect(options.url, {
  protocolVersion: options.version,
  ca: options.ca ? readFileSync(options.ca) : undefined,
  username: options.token ? "viewer" : undefined,
  password: options.token,
  reconnectPeriod: options.reconnect ?? 0,
  connectTimeout: 5000,
});

client.on("connect", (connack) => tell("connected", { sessionPresent: connack.sessionPresent, properties: connack.properties }));
client.on("message", (topic, payload, packet) =>
  tell("message", {
    topic,
    body: payload.toString(),
    qos: packet.qos,
    retain: packet.retain,
    identifiers: packet.properties?.subscriptionIdentifier,
  }),
);
client.on("error", (error) => tell("error", { message: error.message, code: error.code }));
client.on("disconnect", (packet) => tell("disconnect", { code: packet.reasonCode }));
client.on("close", () => tell("closed"));

obey({
  subscribe: ({ topic, options: how = {} }) =>
    client.subscribe(topic, how, (error, granted, suback) => tell("subscribed", { error: error?.message, granted: suback?.granted ?? granted })),
  unsubscribe: ({ topic }) => client.unsubscribe(topic, (error, unsuback) => tell("unsubscribed", { error: error?.message, granted: unsuback?.granted })),
  publish: ({ topic, body, qos = 0, retain = false }) =>
    client.publish(topic, body, { qos, retain }, (error) => tell("published", { error: error?.message, code: error?.code })),
  disconnect: () => client.end(),
});
