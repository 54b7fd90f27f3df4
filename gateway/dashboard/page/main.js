/**
 * The page: one connection, one store, a few views of it, redrawn a few times a second and only where something changed.
 */

import { connect } from "../client/gateway.js";
import { Banners, bannersFor } from "./banner.js";
import { ChartView } from "./chart.js";
import { Credentials } from "./credentials.js";
import { GatewayView } from "./gatewayview.js";
import { Header } from "./header.js";
import { Losses } from "./losses.js";
import { Overview } from "./overview.js";
import { hrefOf, parseRoute } from "./route.js";
import { SignIn } from "./signin.js";
import { Store } from "./store.js";
import { TopicsView } from "./topicsview.js";

/**
 * @typedef {object} Context what a view may use
 * @property {Store} store
 * @property {Credentials} credentials
 * @property {import("./route.js").Route} route
 * @property {import("../client/gateway.js").Gateway} gateway
 * @property {string} paging which page of how many a wall shows, where there are several
 * @property {() => number} now Unix seconds, by the gateway's clock
 * @property {(route: Record<string, string | null | undefined>) => string} href
 * @property {(change: Record<string, string | null | undefined>, how?: {replace?: boolean}) => void} go changes the route
 */

/** @typedef {{element: Element, render: () => void, end?: () => void}} View */

// Eyes follow no more than a few changes a second; the gateway merges what comes faster.
const INTERVAL = 0.5;
const DRAW_MS = 250;
// Devices that are new get their names together.
const NAMES_MS = 30000;

// First of all: a token in the address is gone from it before anything else runs.
const credentials = new Credentials();
const store = new Store();
const losses = new Losses();
const gateway = connect(undefined, { token: (why) => tokenFor(why), onState: () => stateChanged() });

/** @type {Context} */
const context = {
  store,
  credentials,
  route: parseRoute(location.hash, location.search),
  gateway,
  paging: "",
  now: () => gateway.now(),
  href: hrefOf,
  go(change, { replace = false } = {}) {
    const address = hrefOf({ ...context.route, ...change });
    if (replace) {
      history.replaceState(null, "", address);
      routeChanged();
    } else {
      location.hash = address;
    }
  },
};

/** @type {Record<string, (context: Context) => View>} */
const VIEWS_BY_NAME = {
  overview: (given) => new Overview(given),
  chart: (given) => new ChartView(given),
  topics: (given) => new TopicsView(given),
  gateway: (given) => new GatewayView(given),
  signin: (given) =>
    new SignIn(given, (token, remember) => {
      credentials.keep(token, remember);
      // Whether it is good shows in the state.
      gateway.authenticate(token).catch(() => {});
    }),
};

const header = new Header(context);
const banners = new Banners(/** @type {Element} */ (document.getElementById("banners")), {
  retry: { label: "Try now", run: () => gateway.retry() },
  reload: { label: "Reload", run: () => location.reload() },
});
/** @type {{name: string, view: View} | null} */
let shown = null;
/** @type {string | null} the build that this page came from */
let build = null;
/** @type {{topics: string, subscription: import("../client/subscription.js").Subscription} | null} */
let everything = null;
let refusal = "";

/** @param {{code: number, reason: string} | null} why the last one was refused */
function tokenFor(why) {
  if (why !== null && why.reason !== "") credentials.forget();
  return credentials.token;
}

function stateChanged() {
  const { status, transport, epoch, subscribe, role } = gateway.state;
  // Over Server-Sent Events the gateway says nothing, not even welcome, before it is asked for something.
  if (status === "open" && (epoch !== null || transport === "events")) {
    checkBuild();
    follow(subscribe ?? ["#"], role ?? "");
  }
  showView();
  drawSoon();
}

/** A page outlives its gateway's upgrade: on a wall nobody reloads it, elsewhere nobody wants to lose what is open. */
function checkBuild() {
  build ??= gateway.state.build;
  if (build !== gateway.state.build && context.route.wall) location.reload();
}

/**
 * Subscribes to all that the role may see.
 * @param {string[]} topics
 * @param {string} role
 */
function follow(topics, role) {
  const wanted = JSON.stringify(topics);
  if (everything?.topics === wanted) return;
  everything?.subscription.close();
  everything = null;
  refusal = topics.length === 0 ? `Your role “${role}” may see no topic. Whoever keeps the gateway can widen it: [[role]] subscribe.` : "";
  if (topics.length === 0) return;
  const subscription = gateway.subscribe(
    topics,
    {
      mode: "latest",
      interval: INTERVAL,
      readings: true,
      onStale: (event) => store.staleness(event),
      onDevice: (event) => store.deviceState(event),
      onGap: (gap) => {
        losses.add(gap, Date.now());
        store.gap(gap, gateway.now());
      },
      onError: ({ message }) => {
        refusal = `Not everything can be shown: ${message}.`;
        drawSoon();
      },
    },
    (message) => {
      store.take(message, gateway.now());
      drawSoon();
    },
  );
  everything = { topics: wanted, subscription };
  loadDevices();
}

let asked = -Infinity;

/** Names and areas of devices, where the gateway keeps them. */
async function loadDevices() {
  store.unnamed = false;
  asked = performance.now();
  /** @type {Record<string, string>} */
  const headers = credentials.token ? { Authorization: `Bearer ${credentials.token}` } : {};
  try {
    const response = await fetch(new URL("api/devices", gateway.base), { headers, cache: "no-store" });
    if (response.status !== 200) return;
    const answer = await response.json();
    store.deviceFacts(Array.isArray(answer) ? answer : (answer.devices ?? []));
    drawSoon();
  } catch {
    // Without them devices are called by their ids; the connection's own state says whether something is wrong.
  }
}

function routeChanged() {
  context.route = parseRoute(location.hash, location.search);
  showView();
  draw();
}

function showView() {
  const view = gateway.state.status === "unauthorized" ? "signin" : context.route.view;
  // A chart of other readings, or over another range, is another chart.
  const name = view === "chart" ? `chart ${context.route.r} ${context.route.range}` : view;
  if (shown?.name === name) return;
  shown?.view.end?.();
  shown = { name, view: VIEWS_BY_NAME[view](context) };
  document.getElementById("main")?.replaceChildren(shown.view.element);
}

let drawn = 0;
let due = false;

/** Draws at most every DRAW_MS, and not at all while nobody looks. */
function drawSoon() {
  if (due) return;
  due = true;
  const wait = Math.max(0, drawn + DRAW_MS - performance.now());
  setTimeout(() => requestAnimationFrame(draw), wait);
}

function draw() {
  due = false;
  drawn = performance.now();
  if (store.unnamed && drawn - asked > NAMES_MS) loadDevices();
  header.render();
  banners.show(bannersNow());
  shown?.view.render();
}

function bannersNow() {
  const list = bannersFor(gateway.state, Date.now(), gateway.now());
  if (refusal !== "") list.push({ kind: "warn", key: "refusal", text: refusal });
  const lost = losses.text(Date.now());
  if (lost !== "") list.push({ kind: "info", key: "losses", text: lost });
  if (build !== null && gateway.state.build !== null && build !== gateway.state.build) {
    list.push({ kind: "info", key: "build", text: "The gateway was upgraded since this page was loaded.", action: "reload" });
  }
  return list;
}

document.getElementById("header")?.replaceWith(header.element);
addEventListener("hashchange", routeChanged);
routeChanged();
// Ages grow without a message.
setInterval(drawSoon, 1000);
