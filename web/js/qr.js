// @ts-check
/**
 * A QR code (ISO/IEC 18004) of a short text: byte mode, error correction M, versions 1 to 10, that is up to 213 bytes.
 * Pure: text in, modules out. Drawing is the caller's.
 */

const VERSION_MAX = 10;
/** Error correction codewords a block, and blocks, at level M, by version. */
const ECC_PER_BLOCK = [0, 10, 16, 26, 18, 24, 16, 18, 22, 22, 26];
const BLOCKS = [0, 1, 1, 1, 2, 2, 4, 4, 4, 5, 5];
/** The masks of the standard, by number. @type {((x: number, y: number) => boolean)[]} */
const MASKS = [
  (x, y) => (x + y) % 2 === 0,
  (_, y) => y % 2 === 0,
  (x) => x % 3 === 0,
  (x, y) => (x + y) % 3 === 0,
  (x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2 === 0,
  (x, y) => ((x * y) % 2) + ((x * y) % 3) === 0,
  (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2 === 0,
  (x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2 === 0,
];

/** All codewords of a version, data and correction. */
function codewords(/** @type {number} */ version) {
  let bits = (16 * version + 128) * version + 64;
  if (version >= 2) {
    const align = Math.floor(version / 7) + 2;
    bits -= (25 * align - 10) * align - 55;
    if (version >= 7) bits -= 36;
  }
  return bits >> 3;
}

const dataCodewords = (/** @type {number} */ version) => codewords(version) - ECC_PER_BLOCK[version] * BLOCKS[version];

/** The modules as rows, true is dark; null if the text is too long. @param {string} text @returns {boolean[][]|null} */
export function qrModules(text) {
  const bytes = new TextEncoder().encode(text);
  let version = 1;
  const fits = () => 4 + (version < 10 ? 8 : 16) + bytes.length * 8 <= dataCodewords(version) * 8;
  while (version <= VERSION_MAX && !fits()) version += 1;
  if (version > VERSION_MAX) return null;
  const blank = patterns(version);
  const placed = place(blank, interleave(version, dataBytes(version, bytes)));
  const tries = MASKS.map((_, mask) => masked(placed, blank, mask));
  return tries.reduce((best, next) => (penalty(next) < penalty(best) ? next : best));
}

/** Mode, length, bytes, end, padding. @param {number} version @param {Uint8Array} bytes */
function dataBytes(version, bytes) {
  const bits = [...number(4, 4), ...number(bytes.length, version < 10 ? 8 : 16), ...[...bytes].flatMap((byte) => number(byte, 8))];
  const room = dataCodewords(version) * 8;
  bits.push(...Array(Math.min(4, room - bits.length)).fill(0));
  while (bits.length % 8) bits.push(0);
  const data = [];
  for (let at = 0; at < bits.length; at += 8) data.push(bits.slice(at, at + 8).reduce((sum, bit) => sum * 2 + bit, 0));
  for (let pad = 0xec; data.length < room / 8; pad ^= 0xec ^ 0x11) data.push(pad);
  return data;
}

/** A number's bits, the highest first. */
function number(/** @type {number} */ value, /** @type {number} */ length) {
  return Array.from({ length }, (_, i) => (value >> (length - 1 - i)) & 1);
}

/** Splits into blocks, adds their correction, and takes them turn by turn. @param {number} version @param {number[]} data */
function interleave(version, data) {
  const [count, ecc, total] = [BLOCKS[version], ECC_PER_BLOCK[version], codewords(version)];
  const short = count - (total % count);
  const shortLength = Math.floor(total / count) - ecc;
  const divisor = generator(ecc);
  let at = 0;
  const blocks = Array.from({ length: count }, (_, i) => {
    const length = shortLength + (i < short ? 0 : 1);
    const part = data.slice(at, (at += length));
    return { part, check: remainder(part, divisor) };
  });
  const turn = (/** @type {number[][]} */ lists) => Array.from({ length: Math.max(...lists.map((l) => l.length)) }, (_, i) => lists.filter((l) => i < l.length).map((l) => l[i])).flat();
  return [...turn(blocks.map((b) => b.part)), ...turn(blocks.map((b) => b.check))];
}

/** Product in GF(2^8) modulo 0x11d. */
function times(/** @type {number} */ a, /** @type {number} */ b) {
  let product = 0;
  for (let i = 7; i >= 0; i--) {
    product = (product << 1) ^ ((product >> 7) * 0x11d);
    product ^= ((b >> i) & 1) * a;
  }
  return product;
}

function generator(/** @type {number} */ degree) {
  const result = [...Array(degree - 1).fill(0), 1];
  let root = 1;
  for (let i = 0; i < degree; i++) {
    for (let j = 0; j < degree; j++) result[j] = times(result[j], root) ^ (result[j + 1] ?? 0);
    root = times(root, 2);
  }
  return result;
}

function remainder(/** @type {number[]} */ data, /** @type {number[]} */ divisor) {
  const result = Array(divisor.length).fill(0);
  for (const byte of data) {
    const factor = byte ^ result.shift();
    result.push(0);
    divisor.forEach((coefficient, i) => (result[i] ^= times(coefficient, factor)));
  }
  return result;
}

/** The fixed patterns; null where data goes. @param {number} version @returns {(boolean|null)[][]} */
function patterns(version) {
  const size = 17 + 4 * version;
  /** @type {(boolean|null)[][]} */
  const grid = Array.from({ length: size }, () => Array(size).fill(null));
  const set = (/** @type {number} */ x, /** @type {number} */ y, /** @type {boolean} */ dark) => x >= 0 && y >= 0 && x < size && y < size && (grid[y][x] = dark);
  for (let i = 0; i < size; i++) set(i, 6, i % 2 === 0), set(6, i, i % 2 === 0);
  for (const [cx, cy] of [[3, 3], [size - 4, 3], [3, size - 4]]) {
    for (let dy = -4; dy <= 4; dy++) for (let dx = -4; dx <= 4; dx++) set(cx + dx, cy + dy, ![2, 4].includes(Math.max(Math.abs(dx), Math.abs(dy))));
  }
  const centres = alignments(version, size);
  const last = centres.length - 1;
  centres.forEach((cx, i) =>
    centres.forEach((cy, j) => {
      if ((i === 0 && j === 0) || (i === 0 && j === last) || (i === last && j === 0)) return;
      for (let dy = -2; dy <= 2; dy++) for (let dx = -2; dx <= 2; dx++) set(cx + dx, cy + dy, Math.max(Math.abs(dx), Math.abs(dy)) !== 1);
    }),
  );
  drawFormat(grid, 0);
  if (version >= 7) {
    let rest = version;
    for (let i = 0; i < 12; i++) rest = (rest << 1) ^ ((rest >> 11) * 0x1f25);
    const bits = (version << 12) | rest;
    for (let i = 0; i < 18; i++) {
      const [a, b, dark] = [size - 11 + (i % 3), Math.floor(i / 3), ((bits >> i) & 1) === 1];
      set(a, b, dark);
      set(b, a, dark);
    }
  }
  return grid;
}

function alignments(/** @type {number} */ version, /** @type {number} */ size) {
  if (version === 1) return [];
  const count = Math.floor(version / 7) + 2;
  const step = Math.ceil((version * 4 + 4) / (count * 2 - 2)) * 2;
  return [6, ...Array.from({ length: count - 1 }, (_, i) => size - 7 - i * step).reverse()];
}

/** Which mask it is, twice. @param {(boolean|null)[][]} grid @param {number} mask */
function drawFormat(grid, mask) {
  const size = grid.length;
  let rest = mask; // level M is 0 in the two bits above
  for (let i = 0; i < 10; i++) rest = (rest << 1) ^ ((rest >> 9) * 0x537);
  const bits = ((mask << 10) | rest) ^ 0x5412;
  const bit = (/** @type {number} */ i) => ((bits >> i) & 1) === 1;
  for (let i = 0; i <= 5; i++) grid[i][8] = bit(i);
  grid[7][8] = bit(6);
  grid[8][8] = bit(7);
  grid[8][7] = bit(8);
  for (let i = 9; i < 15; i++) grid[8][14 - i] = bit(i);
  for (let i = 0; i < 8; i++) grid[8][size - 1 - i] = bit(i);
  for (let i = 8; i < 15; i++) grid[size - 15 + i][8] = bit(i);
  grid[size - 8][8] = true;
}

/** Data in the zigzag of the standard. @param {(boolean|null)[][]} blank @param {number[]} bytes */
function place(blank, bytes) {
  const size = blank.length;
  const grid = blank.map((row) => row.map(Boolean));
  let at = 0;
  for (let right = size - 1; right >= 1; right -= 2) {
    if (right === 6) right = 5;
    const upward = ((right + 1) & 2) === 0;
    for (let i = 0; i < size; i++) {
      for (const x of [right, right - 1]) {
        const y = upward ? size - 1 - i : i;
        if (blank[y][x] !== null) continue;
        grid[y][x] = at < bytes.length * 8 && ((bytes[at >> 3] >> (7 - (at & 7))) & 1) === 1;
        at += 1;
      }
    }
  }
  return grid;
}

/** @param {boolean[][]} placed @param {(boolean|null)[][]} blank @param {number} mask */
function masked(placed, blank, mask) {
  const grid = placed.map((row, y) => row.map((dark, x) => (blank[y][x] === null ? dark !== MASKS[mask](x, y) : dark)));
  drawFormat(grid, mask);
  return grid;
}

/** Long runs, blocks and imbalance read badly. @param {boolean[][]} grid */
function penalty(grid) {
  const size = grid.length;
  let sum = 0;
  for (const lines of [grid, grid.map((_, x) => grid.map((row) => row[x]))]) {
    for (const line of lines) for (const run of line.map((d) => (d ? "1" : "0")).join("").match(/0{5,}|1{5,}/g) ?? []) sum += run.length - 2;
  }
  for (let y = 1; y < size; y++) for (let x = 1; x < size; x++) if (grid[y][x] === grid[y - 1][x] && grid[y][x] === grid[y][x - 1] && grid[y][x] === grid[y - 1][x - 1]) sum += 3;
  const dark = grid.flat().filter(Boolean).length / size ** 2;
  return sum + Math.floor(Math.abs(dark - 0.5) * 20) * 10;
}
