/**
 * The token that this page signs in with: from its address, or kept for the tab or on the device.
 */

const NAME = "sensor-gateway.token";

/** @param {() => Storage} which */
function readToken(which) {
  try {
    return which().getItem(NAME);
  } catch {
    // Storage may be forbidden: then the token lives as long as the page.
    return null;
  }
}

/**
 * @param {() => Storage} which
 * @param {string | null} token
 */
function writeToken(which, token) {
  try {
    if (token === null) which().removeItem(NAME);
    else which().setItem(NAME, token);
  } catch {
    // As above.
  }
}

/** @param {string} text of an address: typed by hand it may hold a % that begins nothing */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const tabStorage = () => sessionStorage;
const deviceStorage = () => localStorage;

export class Credentials {
  /** @type {string | null} */
  #token;

  /** Takes the token out of the address before anybody can read it over a shoulder or copy it in a link. */
  constructor() {
    const given = /^#token=([^&]+)(?:&(.*))?$/.exec(location.hash);
    if (given) {
      const token = decoded(given[1]);
      history.replaceState(null, "", `${location.pathname}${location.search}${given[2] ? `#${given[2]}` : ""}`);
      writeToken(tabStorage, token);
      this.#token = token;
    } else {
      this.#token = readToken(tabStorage) ?? readToken(deviceStorage);
    }
  }

  get token() {
    return this.#token;
  }

  /**
   * @param {string} token
   * @param {boolean} remember also when the tab is closed
   */
  keep(token, remember) {
    this.#token = token;
    writeToken(tabStorage, token);
    writeToken(deviceStorage, remember ? token : null);
  }

  /** It was refused, or is wanted no more. */
  forget() {
    this.#token = null;
    writeToken(tabStorage, null);
    writeToken(deviceStorage, null);
  }
}
