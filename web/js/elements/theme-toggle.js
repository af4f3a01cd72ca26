// @ts-check
/** `<lockstep-theme>`: light, as the system, dark. */
import { el, icon } from "../dom.js";
import { t } from "../i18n.js";
import { setTheme, theme, THEMES } from "../theme.js";

const ICONS = { light: "sun", system: "system", dark: "moon" };

export class LockstepTheme extends HTMLElement {
  connectedCallback() {
    if (this.firstChild) return;
    const choices = THEMES.map((name) => {
      const input = el("input", { type: "radio", name: "theme", value: name, checked: name === theme(), onchange: () => setTheme(name) });
      return el("label", { class: "segment", title: t(`theme.${name}`) }, input, icon(ICONS[name]), el("span", { class: "visually-hidden", text: t(`theme.${name}`) }));
    });
    this.append(el("fieldset", { class: "segments" }, el("legend", { class: "visually-hidden", text: t("theme.label") }), ...choices));
  }
}

customElements.define("lockstep-theme", LockstepTheme);
