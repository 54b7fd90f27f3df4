/**
 * Asks the gateway for numbers of the past, one question after the other; prints the answers as a list of JSON.
 * usage: node history.js GATEWAY_PORT QUESTIONS [--events]
 */
import ws from "ws";
import { connect } from "../../gateway/dashboard/client/index.js";

const [port, questions] = process.argv.slice(2, 4);
const gateway = connect(`http://127.0.0.1:${port}/`, { WebSocket: ws, events: process.argv.includes("--events") });
const answers = [];
for (const question of JSON.parse(questions)) {
  try {
    answers.push(await gateway.history(question));
  } catch ({ code, message }) {
    answers.push({ code, message });
  }
}
gateway.close();
console.log(JSON.stringify(answers));
