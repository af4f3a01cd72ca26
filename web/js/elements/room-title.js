// @ts-check
/** `<lockstep-room-title>`: the room's name, the way to the other rooms, and who is here. */
import { el, setText } from "../dom.js";
import { t } from "../i18n.js";
import { client, store } from "../page.js";

const PEOPLE_SHOWN_MAX = 5;

export class LockstepRoomTitle extends HTMLElement {
  #stop = () => {};
  #drawn = "";

  connectedCallback() {
    if (!this.name) {
      this.name = el("h1", { id: "room-name", text: "Lockstep" });
      this.rooms = el("select", { class: "room-select", "aria-label": t("room.choose"), hidden: true, onchange: () => this.#enter() });
      this.people = el("ul", { class: "people", "aria-label": t("room.here") });
      this.dot = el("span", { class: "link-dot", role: "img" });
      this.append(this.name, this.rooms, this.people, this.dot);
    }
    this.#stop = store.watch(() => this.#draw());
  }

  disconnectedCallback() {
    this.#stop();
  }

  #enter() {
    this.dispatchEvent(new CustomEvent("enterroom", { bubbles: true, detail: this.rooms?.value }));
  }

  #draw() {
    const { name, rooms, people, dot } = this;
    if (!name || !rooms || !people || !dot) return;
    setText(name, store.room?.name ?? "Lockstep");
    const several = store.rooms.length > 1;
    rooms.hidden = !several;
    name.classList.toggle("visually-hidden", several);
    const here = store.people;
    const wanted = JSON.stringify([store.rooms.map((r) => [r.id, r.name]), here]);
    const link = store.live ? t("link.live") : t("link.notLive");
    dot.setAttribute("aria-label", link);
    dot.title = client.clock.latencyMs === null ? link : `${link} · ${Math.round(client.clock.latencyMs)} ms`;
    if (rooms.value !== store.roomId) rooms.value = store.roomId;
    if (wanted === this.#drawn) return;
    this.#drawn = wanted;
    rooms.replaceChildren(...store.rooms.map((room) => el("option", { value: room.id, text: room.name, selected: room.id === store.roomId })));
    const face = (/** @type {{name: string, kind: string}} */ p) => el("li", { class: "person", "data-kind": p.kind, title: p.name }, el("span", { "aria-hidden": "true", text: [...p.name][0]?.toUpperCase() ?? "?" }), el("span", { class: "visually-hidden", text: p.name }));
    const more = here.length - PEOPLE_SHOWN_MAX;
    people.replaceChildren(...here.slice(0, PEOPLE_SHOWN_MAX).map(face), ...(more > 0 ? [el("li", { class: "person", text: `+${more}` })] : []));
    people.hidden = here.length === 0;
  }
}

customElements.define("lockstep-room-title", LockstepRoomTitle);
