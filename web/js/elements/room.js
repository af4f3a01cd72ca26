// @ts-check
/** `<lockstep-room>`: the things of the room that the address names, one element each. */
import { el, setAttr } from "../dom.js";
import { t } from "../i18n.js";
import { store } from "../page.js";
import "./pomodoro.js";
import "./slider.js";

export class LockstepRoom extends HTMLElement {
  #stop = () => {};
  #drawn = "";
  #missed = "";

  connectedCallback() {
    if (!this.hero) {
      // What the first picture has drawn stays where it is.
      this.hero = /** @type {HTMLElement|null} */ (this.querySelector(".hero")) ?? el("div", { class: "card hero" });
      this.side = /** @type {HTMLElement|null} */ (this.querySelector(".side")) ?? el("div", { class: "side" });
      this.sliders = el("section", { class: "card sliders", "aria-labelledby": "sliders-title" });
      this.inert = false;
      this.missing = el("div", { class: "card missing", hidden: true });
      this.append(this.missing, this.hero, this.side);
    }
    this.#stop = store.watch(() => this.#draw());
  }

  disconnectedCallback() {
    this.#stop();
  }

  #draw() {
    const { hero, side, sliders, missing } = this;
    if (!hero || !side || !sliders || !missing) return;
    const room = store.room;
    missing.hidden = (room !== null && !store.barred) || !store.live || !store.info;
    hero.hidden = side.hidden = !missing.hidden;
    if (!missing.hidden) return this.#drawMissing(missing, t(store.barred ? "app.roomBarred" : "app.noRoom", { room: store.roomId }));
    this.#missed = "";
    const things = room?.things ?? [];
    const wanted = JSON.stringify([store.roomId, things.map((thing) => [thing.id, thing.kind])]);
    if (room && wanted !== this.#drawn) this.#build(things);
    if (room) this.#drawn = wanted;
    for (const thing of things) {
      const slider = sliders.querySelector(`lockstep-slider[thing="${thing.id}"]`);
      if (slider) setAttr(slider, "name", thing.name);
    }
  }

  /** Says why there is nothing here, and where there is something. @param {HTMLElement} missing @param {string} why */
  #drawMissing(missing, why) {
    const others = store.rooms.filter((room) => room.id !== store.roomId);
    const wanted = JSON.stringify([why, others.map((room) => [room.id, room.name])]);
    if (wanted === this.#missed) return;
    this.#missed = wanted;
    const ways = others.map((room) => el("a", { class: "button", href: `?${new URLSearchParams({ room: room.id })}`, text: room.name }));
    missing.replaceChildren(el("p", { text: why }), ...(ways.length ? [el("div", { class: "missing-ways" }, ...ways)] : []));
  }

  #build(/** @type {import("../store.js").Thing[]} */ things) {
    const { hero, side, sliders } = this;
    const make = (/** @type {string} */ tag, /** @type {import("../store.js").Thing} */ thing) => el(/** @type {any} */ (tag), { thing: thing.id, name: thing.name });
    const pomodoros = things.filter((thing) => thing.kind === "pomodoro");
    const ranges = things.filter((thing) => thing.kind === "slider");
    const pictured = this.#drawn ? [] : [...(hero?.children ?? [])];
    hero?.replaceChildren(...pomodoros.map((thing) => pictured.find((timer) => timer.getAttribute("thing") === thing.id) ?? make("lockstep-pomodoro", thing)));
    sliders?.replaceChildren(el("h2", { id: "sliders-title", text: t("sliders.title") }), ...ranges.map((thing) => make("lockstep-slider", thing)));
    const setups = pomodoros.map((thing) => {
      const setup = make("lockstep-setup", thing);
      setup.className = "card";
      return setup;
    });
    const others = things.filter((thing) => !["pomodoro", "slider"].includes(thing.kind)).map((thing) => make("lockstep-thing", thing));
    for (const other of others) other.className = "card";
    side?.replaceChildren(...(ranges.length && sliders ? [sliders] : []), ...others, ...setups);
  }
}

customElements.define("lockstep-room", LockstepRoom);
