// @ts-check
/** The tree of topics as rows to draw: filtered, folded, counted. Pure; thousands of topics are its ordinary day. */

/** @typedef {{path: string, label: string, depth: number, topic: boolean, inside: number, open: boolean}} Row */

/**
 * Rows of the tree. A filter keeps topics that contain each of its words and opens what it finds.
 * @param {readonly string[]} topics sorted @param {{filter?: string, folded?: ReadonlySet<string>}} [options] @returns {Row[]}
 */
export function treeRows(topics, { filter = "", folded = new Set() } = {}) {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const kept = words.length ? topics.filter((topic) => words.every((word) => topic.toLowerCase().includes(word))) : topics;
  /** @type {Row[]} */
  const rows = [];
  /** @type {Row[]} */
  let trail = [];
  /** @type {string|null} */
  let hiddenBelow = null; // the empty path is one, too
  for (const topic of kept) {
    const levels = topic.split("/");
    let common = 0;
    while (common < trail.length && common < levels.length && trail[common].path === levels.slice(0, common + 1).join("/")) common += 1;
    trail = trail.slice(0, common);
    for (const parent of trail) if (parent.path !== topic) parent.inside += 1;
    for (let depth = common; depth < levels.length; depth++) {
      const path = levels.slice(0, depth + 1).join("/");
      const last = depth === levels.length - 1;
      const row = { path, label: levels[depth], depth, topic: last, inside: last ? 0 : 1, open: words.length > 0 || !folded.has(path) };
      trail.push(row);
      if (hiddenBelow !== null && path.startsWith(`${hiddenBelow}/`)) continue;
      hiddenBelow = null;
      rows.push(row);
      if (!row.open) hiddenBelow = path;
    }
    if (trail.length) /** @type {Row} */ (trail.at(-1)).topic = true;
  }
  return rows;
}

/** Topics in the order of their levels, so that a tree can be built in one pass. @param {Iterable<string>} topics */
export function sortTopics(topics) {
  const key = (/** @type {string} */ topic) => topic.replaceAll("/", "\u0000");
  return [...topics].map((topic) => [key(topic), topic]).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)).map(([, topic]) => topic);
}

/** One line of a payload. @param {{payload: any, format: string}} message */
export function preview({ payload, format }, charsMax = 120) {
  // Of bytes no more is read than is shown: there may be a picture of a camera among them. Four letters of base64 are three bytes.
  const start = () => toHex(bytesOf({ payload: payload.slice(0, 4 * charsMax), format })).replaceAll("\n", " ");
  const text = format === "json" ? JSON.stringify(payload) : format === "base64" ? start() : String(payload);
  return text.length > charsMax ? `${text.slice(0, charsMax)}…` : text;
}

/** A payload as somebody wants to read it. @param {{payload: any, format: string}} message @param {"json"|"text"|"hex"} as */
export function readAs({ payload, format }, as) {
  if (as === "hex") return toHex(bytesOf({ payload, format }));
  if (format === "base64") return new TextDecoder().decode(bytesOf({ payload, format }));
  if (format !== "json") return String(payload);
  return as === "json" ? JSON.stringify(payload, null, 2) : JSON.stringify(payload);
}

/** @param {{payload: any, format: string}} message */
function bytesOf({ payload, format }) {
  if (format === "base64") return Uint8Array.from(atob(payload), (char) => char.charCodeAt(0));
  return new TextEncoder().encode(format === "json" ? JSON.stringify(payload) : String(payload));
}

/** Sixteen bytes a line. */
function toHex(/** @type {Uint8Array} */ bytes) {
  const lines = [];
  for (let at = 0; at < bytes.length; at += 16) lines.push([...bytes.subarray(at, at + 16)].map((byte) => byte.toString(16).padStart(2, "0")).join(" "));
  return lines.join("\n");
}
