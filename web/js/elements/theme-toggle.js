// @ts-check
/** `<lockstep-theme>`: light, as the system, dark. */
import { el, icon } from "../dom.js";
import { t } from "../i18n.js";
import { setTheme, theme, THEMES } from "../theme.js";

let groups = 0;
const ICONS = { light: "sun", system: "system", dark: "moon" };

export class LockstepTheme extends HTMLElement {
  connectedCallback() {
    if (this.firstChild) return;
    const group = `theme-${(groups += 1)}`;
    const choices = THEMES.map((name) => {
      const input = el("input", { type: "radio", name: group, value: name, checked: name === theme(), onchange: () => (setTheme(name), dispatchEvent(new Event("themechosen"))) });
      return el("label", { class: "segment", title: t(`theme.${name}`) }, input, icon(ICONS[name]), el("span", { class: "visually-hidden", text: t(`theme.${name}`) }));
    });
    addEventListener("themechosen", () => this.querySelectorAll("input").forEach((input) => (input.checked = input.value === theme())));
    this.append(el("fieldset", { class: "segments" }, el("legend", { class: "visually-hidden", text: t("theme.label") }), ...choices));
  }
}

customElements.define("lockstep-theme", LockstepTheme);
