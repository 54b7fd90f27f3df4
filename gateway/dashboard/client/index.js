/**
 * The browser's and Node's way into a sensor-gateway, without dependencies:
 *
 *     import { connect } from "https://box:8443/client.js";
 *     const gateway = connect();
 *     gateway.subscribe("sensors/#", (message) => console.log(message.topic, message.data));
 */

export { connect, Gateway, GatewayError } from "./gateway.js";
export { Subscription } from "./subscription.js";
export { matches } from "./topics.js";
