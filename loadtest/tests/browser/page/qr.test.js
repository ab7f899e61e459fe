// The QR encoder, read back by a reader of the test's own: format and version words from the
// standard's tables, every block's syndromes zero, the text as it was.

import assert from "node:assert/strict";
import { test } from "node:test";
import { qr } from "../../../../web/page/qr.js";

/** Format words of level M by mask, and version words (ISO/IEC 18004, annexes C and D). */
const FORMATS = [
  "101010000010010", "101000100100101", "101111001111100", "101101101001011",
  "100010111111001", "100000011001110", "100111110010111", "100101010100000",
];
const VERSION_WORDS = new Map([[7, "000111110010010100"], [8, "001000010110111100"], [9, "001001101010011001"], [10, "001010010011010011"]]);
/** Level M: how many bytes of text each version holds (table 7). */
const CAPACITIES = [14, 26, 42, 62, 84, 106, 122, 152, 180, 213];
/** Level M: blocks as [count, data codewords, correction codewords] (table 9). */
const BLOCKS = [
  [[1, 16, 10]], [[1, 28, 16]], [[1, 44, 26]], [[2, 32, 18]], [[2, 43, 24]], [[4, 27, 16]], [[4, 31, 18]],
  [[2, 38, 22], [2, 39, 22]], [[3, 36, 22], [2, 37, 22]], [[4, 43, 26], [1, 44, 26]],
];
const CENTRES = [[], [6, 18], [6, 22], [6, 26], [6, 30], [6, 34], [6, 22, 38], [6, 24, 42], [6, 26, 46], [6, 28, 50]];
const MASKS = [
  (/** @type {number} */ i, /** @type {number} */ j) => (i + j) % 2,
  (/** @type {number} */ i) => i % 2,
  (/** @type {number} */ _, /** @type {number} */ j) => j % 3,
  (/** @type {number} */ i, /** @type {number} */ j) => (i + j) % 3,
  (/** @type {number} */ i, /** @type {number} */ j) => ((i >> 1) + Math.floor(j / 3)) % 2,
  (/** @type {number} */ i, /** @type {number} */ j) => ((i * j) % 2) + ((i * j) % 3),
  (/** @type {number} */ i, /** @type {number} */ j) => (((i * j) % 2) + ((i * j) % 3)) % 2,
  (/** @type {number} */ i, /** @type {number} */ j) => (((i + j) % 2) + ((i * j) % 3)) % 2,
];

/** @param {number} left @param {number} right */
function times(left, right) {
  let product = 0;
  for (let bit = 7; bit >= 0; bit -= 1) {
    product = (product << 1) ^ (product & 0x80 ? 0x11d : 0);
    if ((right >> bit) & 1) product ^= left;
  }
  return product;
}

/** Whether a module belongs to a pattern and not to the text. @param {number} version @param {number} row @param {number} column */
function isPattern(version, row, column) {
  const size = 17 + 4 * version;
  if (row === 6 || column === 6) return true;
  if ((row < 9 && column < 9) || (row < 9 && column >= size - 8) || (row >= size - 8 && column < 9)) return true;
  if (version >= 7 && ((row < 6 && column >= size - 11) || (column < 6 && row >= size - 11))) return true;
  const centres = CENTRES[version - 1] ?? [];
  const last = centres.at(-1) ?? 0;
  return centres.some((i) => centres.some((j) => {
    const atFinder = (i === 6 && j === 6) || (i === 6 && j === last) || (i === last && j === 6);
    return !atFinder && Math.abs(row - i) <= 2 && Math.abs(column - j) <= 2;
  }));
}

/** @param {boolean[][]} symbol @param {[number, number][]} places */
const wordAt = (symbol, places) => places.map(([row, column]) => (symbol[row]?.[column] ? "1" : "0")).join("");

/** The mask, from both copies of the format word. @param {boolean[][]} symbol */
function maskOf(symbol) {
  const size = symbol.length;
  /** @type {[number, number][]} */
  const corner = [...[0, 1, 2, 3, 4, 5, 7, 8].map((column) => [8, column]), ...[7, 5, 4, 3, 2, 1, 0].map((row) => [row, 8])];
  /** @type {[number, number][]} */
  const split = [
    ...Array.from({ length: 7 }, (_, at) => [size - 1 - at, 8]),
    ...Array.from({ length: 8 }, (_, at) => [8, size - 8 + at]),
  ];
  const word = wordAt(symbol, corner);
  assert.equal(wordAt(symbol, split), word, "both copies agree");
  assert.ok(symbol[size - 8]?.[8], "the dark module");
  const mask = FORMATS.indexOf(word);
  assert.ok(mask >= 0, `${word} is a format word of level M`);
  return mask;
}

/** @param {boolean[][]} symbol @param {number} version @param {number} mask */
function codewords(symbol, version, mask) {
  const size = symbol.length;
  const places = [];
  const columns = Array.from({ length: size }, (_, at) => size - 1 - at).filter((column) => column !== 6);
  for (let pair = 0; pair < columns.length; pair += 2) {
    for (let step = 0; step < size; step += 1) {
      const row = pair % 4 === 0 ? size - 1 - step : step;
      for (const column of columns.slice(pair, pair + 2)) {
        if (!isPattern(version, row, column)) places.push([row, column]);
      }
    }
  }
  const bits = places.map(([row = 0, column = 0]) => (symbol[row]?.[column] !== (MASKS[mask]?.(row, column) === 0) ? 1 : 0));
  return Array.from({ length: Math.floor(bits.length / 8) }, (_, at) => parseInt(bits.slice(8 * at, 8 * at + 8).join(""), 2));
}

/** @param {boolean[][]} symbol */
function read(symbol) {
  const version = (symbol.length - 17) / 4;
  const shape = (BLOCKS[version - 1] ?? []).flatMap(([count = 0, data = 0, correction = 0]) => Array.from({ length: count }, () => ({ data, correction })));
  const words = codewords(symbol, version, maskOf(symbol));
  /** @type {number[][]} */
  const blocks = shape.map(() => []);
  let at = 0;
  for (const part of /** @type {const} */ (["data", "correction"])) {
    for (let turn = 0; turn < Math.max(...shape.map((block) => block[part])); turn += 1) {
      shape.forEach((block, index) => {
        if (turn < block[part]) blocks[index]?.push(words[at++] ?? 0);
      });
    }
  }
  assert.equal(at, words.length, "every codeword is read");
  blocks.forEach((block, index) => {
    for (let root = 0, point = 1; root < (shape[index]?.correction ?? 0); root += 1, point = times(point, 2)) {
      assert.equal(block.reduce((sum, word) => times(sum, point) ^ word, 0), 0, `syndrome ${root} of block ${index}`);
    }
  });
  const bits = blocks.flatMap((block, index) => block.slice(0, shape[index]?.data)).map((word) => word.toString(2).padStart(8, "0")).join("");
  assert.equal(bits.slice(0, 4), "0100", "byte mode");
  const head = 4 + (version < 10 ? 8 : 16);
  const length = parseInt(bits.slice(4, head), 2);
  const bytes = Array.from({ length }, (_, each) => parseInt(bits.slice(head + 8 * each, head + 8 * each + 8), 2));
  return { version, text: new TextDecoder().decode(new Uint8Array(bytes)) };
}

test("a link is read back from the smallest version that holds it", () => {
  const link = "https://meet.example.org/r/calm-cedar-crane#token=eyJhbGciOiJFUzI1NiJ9.".repeat(4);
  const edges = CAPACITIES.flatMap((capacity) => [capacity, capacity + 1]).filter((length) => length <= 213);
  for (const length of [0, 1, 2, 3, 50, 100, 200, ...edges]) {
    const { version, text } = read(qr(link.slice(0, length)));
    assert.equal(text, link.slice(0, length));
    assert.equal(version, 1 + CAPACITIES.findIndex((capacity) => length <= capacity));
  }
});

test("letters beyond ASCII count in bytes of UTF-8", () => {
  const text = "https://meet.example.org/r/会议室·été";
  assert.equal(read(qr(text)).text, text);
  assert.equal(qr("议".repeat(71)).length, 57);
  assert.deepEqual(qr("议".repeat(72)), []);
});

test("finders, timing and version stand where a camera looks for them", () => {
  for (const [index, capacity] of CAPACITIES.entries()) {
    const symbol = qr("x".repeat(capacity));
    const size = symbol.length;
    for (const [top, left] of /** @type {[number, number][]} */ ([[0, 0], [0, size - 7], [size - 7, 0]])) {
      const finder = symbol.slice(top, top + 7).map((row) => row.slice(left, left + 7).map(Number).join(""));
      assert.deepEqual(finder, ["1111111", "1000001", "1011101", "1011101", "1011101", "1000001", "1111111"]);
    }
    for (let at = 8; at < size - 8; at += 1) {
      assert.equal(symbol[6]?.[at], at % 2 === 0);
      assert.equal(symbol[at]?.[6], at % 2 === 0);
    }
    const word = VERSION_WORDS.get(index + 1);
    if (word === undefined) continue;
    /** @type {[number, number][]} */
    const places = Array.from({ length: 18 }, (_, at) => [Math.floor((17 - at) / 3), size - 11 + ((17 - at) % 3)]);
    assert.equal(wordAt(symbol, places), word);
    assert.equal(wordAt(symbol, places.map(([row, column]) => [column, row])), word);
  }
});

test("a text of 214 bytes has no code", () => {
  assert.deepEqual(qr("x".repeat(214)), []);
});
