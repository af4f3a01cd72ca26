// @ts-check
/** What the first picture of the room does without: loaded in one go behind it. */
export { attend } from "./attention.js";
import "./elements/alerts.js";
import "./elements/rooms.js";
import "./elements/settings.js";
import "./elements/setup.js";
import "./elements/share.js";
import "./elements/sound.js";
import "./elements/theme-toggle.js";
import "./elements/thing.js";
