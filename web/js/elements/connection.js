// @ts-check
/** `<lockstep-connection>`: the connection's figures: way, round trip, clock difference, versions. */
import { el, setText } from "../dom.js";
import { t } from "../i18n.js";
import { client, store } from "../page.js";

export class LockstepConnection extends HTMLElement {
  #stop = () => {};
  /** @type {Map<string, HTMLElement>} */ #values = new Map();

  connectedCallback() {
    if (!this.firstChild) {
      const rows = /** @type {const} */ (["link.state", "link.way", "link.latency", "link.clock", "link.you", "link.hub"]).map((key) => {
        const value = el("dd");
        this.#values.set(key, value);
        return el("div", {}, el("dt", { text: t(key) }), value);
      });
      this.append(el("dl", { class: "facts" }, ...rows));
    }
    this.#stop = store.watch(() => this.#draw());
  }

  disconnectedCallback() {
    this.#stop();
  }

  #draw() {
    const { clock, status, hello } = client;
    const say = (/** @type {string} */ key, /** @type {string} */ text) => setText(/** @type {HTMLElement} */ (this.#values.get(key)), text);
    const seconds = clock.offsetMs / 1000;
    const size = Math.abs(seconds) < 1 ? `${Math.round(Math.abs(clock.offsetMs))} ms` : `${Math.abs(seconds).toFixed(1)} s`;
    say("link.state", t(store.live ? "link.live" : "link.notLive"));
    say("link.way", status.transport === "sse" ? "Server-Sent Events" : status.transport === "websocket" ? "WebSocket" : "–");
    say("link.latency", clock.latencyMs === null ? "–" : `${Math.round(clock.latencyMs)} ms`);
    say("link.clock", Math.round(clock.offsetMs) === 0 ? t("link.clockSame") : t(seconds > 0 ? "link.clockAhead" : "link.clockBehind", { size }));
    say("link.you", hello ? `${hello.you.by} (${hello.you.role})` : "–");
    say("link.hub", hello ? `${hello.hub.name} ${hello.hub.version} · ${hello.boot.slice(0, 8)}` : "–");
  }
}

customElements.define("lockstep-connection", LockstepConnection);
