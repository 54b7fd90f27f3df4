/**
 * The page: one connection, one store, a few views of it, redrawn a few times a second and only where something changed.
 */

import { connect } from "../client/gateway.js";
import { Banners, bannersFor } from "./banner.js";
import { ChartView } from "./chart.js";
import { Header } from "./header.js";
import { Overview } from "./overview.js";
import { hrefOf, parseRoute } from "./route.js";
import { Store } from "./store.js";
import { TopicsView } from "./topicsview.js";

/**
 * @typedef {object} Context what a view may use
 * @property {Store} store
 * @property {import("./route.js").Route} route
 * @property {import("../client/gateway.js").Gateway} gateway
 * @property {() => number} now Unix seconds, by the gateway's clock
 * @property {(route: Record<string, string | null | undefined>) => string} href
 * @property {(change: Record<string, string | null | undefined>, how?: {replace?: boolean}) => void} go changes the route
 * @property {(text: string) => void} announce says something to those who listen instead of looking
 */

/** @typedef {{element: Element, render: () => void, end?: () => void}} View */

// Eyes follow no more than a few changes a second; the gateway merges what comes faster.
const INTERVAL = 0.5;
const DRAW_MS = 250;

const store = new Store();
const gateway = connect(undefined, { onState: () => drawSoon() });

/** @type {Context} */
const context = {
  store,
  route: parseRoute(location.hash, location.search),
  gateway,
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
  announce(text) {
    const region = document.getElementById("announce");
    if (region) region.textContent = text;
  },
};

/** @type {Record<string, (context: Context) => View>} */
const VIEWS_BY_NAME = {
  overview: (given) => new Overview(given),
  chart: (given) => new ChartView(given),
  topics: (given) => new TopicsView(given),
};

const header = new Header(context);
const banners = new Banners(/** @type {Element} */ (document.getElementById("banners")), {
  retry: { label: "Try now", run: () => gateway.retry() },
  reload: { label: "Reload", run: () => location.reload() },
});
/** @type {{name: string, view: View} | null} */
let shown = null;

function routeChanged() {
  context.route = parseRoute(location.hash, location.search);
  const view = context.route.view in VIEWS_BY_NAME ? context.route.view : "overview";
  // A chart of other readings, or over another range, is another chart.
  const name = view === "chart" ? `chart ${context.route.r} ${context.route.range}` : view;
  if (shown?.name !== name) {
    shown?.view.end?.();
    shown = { name, view: VIEWS_BY_NAME[view](context) };
    document.getElementById("main")?.replaceChildren(shown.view.element);
  }
  draw();
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
  header.render();
  banners.show(bannersFor(gateway.state, Date.now(), gateway.now()));
  shown?.view.render();
}

document.getElementById("header")?.replaceWith(header.element);
addEventListener("hashchange", routeChanged);
gateway.subscribe(
  "#",
  {
    mode: "latest",
    interval: INTERVAL,
    readings: true,
    onStale: (event) => store.staleness(event),
    onDevice: (event) => store.deviceState(event),
  },
  (message) => {
    store.take(message, gateway.now());
    drawSoon();
  },
);
routeChanged();
// Ages grow without a message.
setInterval(drawSoon, 1000);
