// Drives socket.io-client as its documentation shows.

import { readFileSync } from "node:fs";
import { io } from "socket.io-client";
import { obey, options, tell } from "./driver.js";

const socket = io(options.url, {
  transports: options.transports ?? ["websocket"],
  auth: options.token ? { token: options.token } : undefined,
  ca: options.ca ? readFileSync(options.ca) : undefined,
  reconnection: Boolean(options.reconnect),
  reconnectionDelay: options.reconnect ?? 100,
  reconnectionDelayMax: 500,
});

socket.on("connect", () => tell("connected", { recovered: socket.recovered, id: socket.id }));
socket.on("connect_error", (error) => tell("error", { message: error.message }));
socket.on("disconnect", (reason) => tell("closed", { reason }));
socket.onAny((name, body) => tell(name, { body }));

obey({
  emit: ({ name, arguments: given = [] }) => socket.emit(name, ...given, (answer) => tell("answer", { answer })),
  bytes: ({ topic, text }) => socket.emit("publish", { topic, data: Buffer.from(text) }, (answer) => tell("answer", { answer })),
  // What a network that goes away does to it.
  cut: () => socket.io.engine.close(),
  disconnect: () => socket.disconnect(),
});
