// @ts-check
/**
 * The setup form's values: what the hub has, what a person typed over it, and what of that is wrong. Edits stay when
 * the hub's values change. Pure: the element draws it. Units: the hub's seconds; texts hold minutes.
 */
import { minutesText, parseMinutes } from "./countdown.js";

const DAY_SECONDS = 86_400;

/**
 * @typedef {{id: string, unit: "minutes"|"count"|"switch"|"choice", min: number, max: number, choices: number[]}} Field
 * @type {readonly Field[]}
 */
export const FIELDS = Object.freeze([
  { id: "work_duration", unit: "minutes", min: 1, max: DAY_SECONDS, choices: [900, 1500, 2700, 3000] },
  { id: "break_duration", unit: "minutes", min: 1, max: DAY_SECONDS, choices: [180, 300, 600, 900] },
  { id: "long_break_duration", unit: "minutes", min: 0, max: DAY_SECONDS, choices: [0, 900, 1200, 1800] },
  { id: "number_cycles", unit: "count", min: 1, max: 100, choices: [1, 2, 3, 4] },
  { id: "auto_start", unit: "switch", min: 0, max: 1, choices: [] },
  { id: "press_while_running", unit: "choice", min: 0, max: 1, choices: [] },
]);

/** How a hub's value stands in the field. */
export function fieldText(/** @type {Field} */ field, /** @type {any} */ value) {
  if (field.unit === "minutes") return minutesText(Number(value));
  if (field.unit === "switch") return value ? "on" : "off";
  return String(value);
}

/** What a field's text means; undefined if it is nothing the hub would take. */
export function fieldValue(/** @type {Field} */ field, /** @type {string} */ text) {
  if (field.unit === "switch") return text === "on";
  if (field.unit === "choice") return text;
  const number = field.unit === "minutes" ? parseMinutes(text) : /^\d+$/.test(text.trim()) ? Number(text) : null;
  return number === null || number < field.min || number > field.max ? undefined : number;
}

export class Draft {
  /** @type {Record<string, any>} */ #hub = {};
  /** @type {Map<string, string>} */ #edits = new Map();
  /** What the hub said when an edit began: a difference later means that somebody else changed it. @type {Map<string, any>} */ #basis = new Map();

  /** Edits that are on their way to the hub. @type {ReadonlyMap<string, string>[]} */ #underWay = [];

  /** The hub's state came. */
  take(/** @type {Record<string, any>} */ state) {
    this.#hub = state;
    for (const field of FIELDS) {
      const edit = this.#edits.get(field.id);
      const sending = this.#underWay.some((edits) => edits.has(field.id) && edits.get(field.id) !== edit);
      if (edit !== undefined && !sending && fieldValue(field, edit) === state[field.id]) this.discard(field.id);
    }
  }

  /** A person typed. */
  edit(/** @type {string} */ id, /** @type {string} */ text) {
    const field = this.#field(id);
    // While another value is under way, the hub's old one is an edit like every other.
    if (fieldValue(field, text) === this.#hub[id] && !this.#underWay.some((edits) => edits.has(id))) return this.discard(id);
    if (!this.#edits.has(id)) this.#basis.set(id, this.#hub[id]);
    this.#edits.set(id, text);
  }

  /** Back to the hub's value of one field, or of all. */
  discard(/** @type {string|undefined} */ id = undefined) {
    if (id === undefined) return void (this.#edits.clear(), this.#basis.clear());
    this.#edits.delete(id);
    this.#basis.delete(id);
  }

  /** The edits are on their way to the hub, until `sent` is told how that ended. @returns {ReadonlyMap<string, string>} */
  send() {
    const edits = new Map(this.#edits);
    this.#underWay.push(edits);
    return edits;
  }

  /** Whether the hub has taken these edits, which are edits no more then; what was typed over them meanwhile stays one. @param {ReadonlyMap<string, string>} edits @param {boolean} taken */
  sent(edits, taken) {
    this.#underWay = this.#underWay.filter((other) => other !== edits);
    for (const [id, text] of edits) {
      if (taken && this.#edits.get(id) === text) this.discard(id);
      else if (taken && this.#edits.has(id)) this.#basis.set(id, fieldValue(this.#field(id), text));
      else if (fieldValue(this.#field(id), this.#edits.get(id) ?? "") === this.#hub[id]) this.discard(id);
    }
  }

  get dirty() {
    return this.#edits.size > 0;
  }

  isDirty(/** @type {string} */ id) {
    return this.#edits.has(id);
  }

  /** What the field shows. */
  text(/** @type {string} */ id) {
    return this.#edits.get(id) ?? (this.#hub[id] === undefined ? "" : fieldText(this.#field(id), this.#hub[id]));
  }

  /** The hub's value as text when somebody changed it under an edit, else null. */
  changedMeanwhile(/** @type {string} */ id) {
    const moved = this.#edits.has(id) && this.#basis.get(id) !== this.#hub[id];
    return moved ? fieldText(this.#field(id), this.#hub[id]) : null;
  }

  /** Ids of fields whose text the hub would not take. */
  get wrong() {
    return FIELDS.filter((f) => this.#edits.has(f.id) && fieldValue(f, /** @type {string} */ (this.#edits.get(f.id))) === undefined).map((f) => f.id);
  }

  /** All fields as the command carries them. @returns {Record<string, any>} */
  get values() {
    return Object.fromEntries(FIELDS.map((f) => [f.id, fieldValue(f, this.text(f.id))]));
  }

  /** Only the edited ones, so that saving does not undo what others set meanwhile. @returns {Record<string, any>} */
  get changes() {
    return Object.fromEntries([...this.#edits].map(([id, text]) => [id, fieldValue(this.#field(id), text)]));
  }

  /** @returns {Field} */
  #field(/** @type {string} */ id) {
    const field = FIELDS.find((f) => f.id === id);
    if (!field) throw new Error(`no such field: ${id}`);
    return field;
  }
}
