// QR codes (ISO/IEC 18004) for links: byte mode, versions 1 to 10, error correction level M.
// Arithmetic only; whoever shows one adds the quiet zone of four modules.

/** By version: codewords in all, those of error correction in a block, blocks, alignment centres.
 * @type {[number, number, number, number[]][]} */
const VERSIONS = [
  [26, 10, 1, []],
  [44, 16, 1, [6, 18]],
  [70, 26, 1, [6, 22]],
  [100, 18, 2, [6, 26]],
  [134, 24, 2, [6, 30]],
  [172, 16, 4, [6, 34]],
  [196, 18, 4, [6, 22, 38]],
  [242, 22, 4, [6, 24, 42]],
  [292, 22, 5, [6, 26, 46]],
  [346, 26, 5, [6, 28, 50]],
];
const BYTE_MODE = 0b0100;
/** Fill the codewords that the text leaves (7.4.10). */
const PADDING = [0xec, 0x11];
/** Which modules each mask turns over (7.8.2).
 * @type {((row: number, column: number) => boolean)[]} */
const MASKS = [
  (row, column) => (row + column) % 2 === 0,
  (row) => row % 2 === 0,
  (_, column) => column % 3 === 0,
  (row, column) => (row + column) % 3 === 0,
  (row, column) => (Math.floor(row / 2) + Math.floor(column / 3)) % 2 === 0,
  (row, column) => ((row * column) % 2) + ((row * column) % 3) === 0,
  (row, column) => (((row * column) % 2) + ((row * column) % 3)) % 2 === 0,
  (row, column) => (((row + column) % 2) + ((row * column) % 3)) % 2 === 0,
];

/** Multiplication in GF(2^8) modulo x^8 + x^4 + x^3 + x^2 + 1, by logarithms. */
const POWERS = new Uint8Array(255);
const LOGARITHMS = new Uint8Array(256);
for (let exponent = 0, value = 1; exponent < 255; exponent += 1) {
  POWERS[exponent] = value;
  LOGARITHMS[value] = exponent;
  value = (value << 1) ^ (value & 0x80 ? 0x11d : 0);
}

/**
 * The modules of a code, row by row, true where dark; none where the text is too long (213 bytes
 * of UTF-8 fit).
 * @param {string} text
 * @returns {boolean[][]}
 */
export function qr(text) {
  const bytes = new TextEncoder().encode(text);
  const index = VERSIONS.findIndex((_, each) => bytes.length <= capacity(each + 1));
  if (index < 0) return [];
  const version = index + 1;
  const bits = interleaved(version, dataCodewords(version, bytes));
  /** @type {boolean[][]} */
  let best = [];
  let least = Infinity;
  for (let mask = 0; mask < MASKS.length; mask += 1) {
    const symbol = drawn(version, mask, bits);
    const cost = penalty(symbol);
    if (cost < least) [best, least] = [symbol, cost];
  }
  return best;
}

/** @param {number} version */
function shapeOf(version) {
  const [total, correction, blocks, centres] = VERSIONS[version - 1] ?? [0, 0, 1, []];
  return { size: 17 + 4 * version, total, correction, blocks, centres, data: total - correction * blocks };
}

/** Bytes of text: mode and terminator take one, the length a second and from version 10 a third.
 * @param {number} version */
const capacity = (version) => shapeOf(version).data - (version < 10 ? 2 : 3);

/**
 * Mode, length, text, terminator and padding.
 * @param {number} version
 * @param {Uint8Array} bytes
 */
function dataCodewords(version, bytes) {
  const { data } = shapeOf(version);
  const head = version < 10 ? [bytes.length] : [bytes.length >> 8, bytes.length & 0xff];
  // The mode takes four bits and the terminator the last four: all between is shifted by a nibble.
  const whole = [...head, ...bytes];
  const words = [(BYTE_MODE << 4) | ((whole[0] ?? 0) >> 4)];
  whole.forEach((byte, at) => words.push(((byte & 0x0f) << 4) | ((whole[at + 1] ?? 0) >> 4)));
  for (let pad = 0; words.length < data; pad += 1) words.push(PADDING[pad % 2] ?? 0);
  return words;
}

/**
 * The bits of all blocks and their correction, in the order they are drawn.
 * @param {number} version
 * @param {number[]} words
 */
function interleaved(version, words) {
  const { total, correction, blocks } = shapeOf(version);
  const short = Math.floor(total / blocks) - correction;
  const long = blocks - (total % blocks);
  const divisor = generator(correction);
  /** @type {number[][]} */
  const data = [];
  for (let block = 0, at = 0; block < blocks; block += 1) {
    const length = short + (block >= long ? 1 : 0);
    data.push(words.slice(at, at + length));
    at += length;
  }
  const checks = data.map((block) => remainder(block, divisor));
  /** @type {number[]} */
  const out = [];
  for (const [columns, length] of /** @type {[number[][], number][]} */ ([[data, short + 1], [checks, correction]])) {
    for (let at = 0; at < length; at += 1) {
      for (const block of columns) {
        const word = block[at];
        if (word !== undefined) out.push(word);
      }
    }
  }
  return out.flatMap((word) => Array.from({ length: 8 }, (_, bit) => ((word >> (7 - bit)) & 1) === 1));
}

/** @param {number} left @param {number} right */
function times(left, right) {
  if (left === 0 || right === 0) return 0;
  return POWERS[((LOGARITHMS[left] ?? 0) + (LOGARITHMS[right] ?? 0)) % 255] ?? 0;
}

/**
 * The product of (x - 2^i) for i below the degree, without its leading 1, highest power first.
 * @param {number} degree
 */
function generator(degree) {
  let polynomial = [1];
  for (let root = 0; root < degree; root += 1) {
    const factor = POWERS[root] ?? 0;
    polynomial = [...polynomial, 0].map((term, at) => term ^ times(polynomial[at - 1] ?? 0, factor));
  }
  return polynomial.slice(1);
}

/** @param {number[]} words @param {number[]} divisor */
function remainder(words, divisor) {
  let rest = divisor.map(() => 0);
  for (const word of words) {
    const factor = word ^ (rest[0] ?? 0);
    rest = divisor.map((term, at) => (rest[at + 1] ?? 0) ^ times(term, factor));
  }
  return rest;
}

/**
 * A value with its BCH check bits behind it.
 * @param {number} value
 * @param {number} polynomial
 * @param {number} checkBits
 */
function checked(value, polynomial, checkBits) {
  let rest = value << checkBits;
  for (let bit = 31 - Math.clz32(rest); bit >= checkBits; bit -= 1) {
    if ((rest >> bit) & 1) rest ^= polynomial << (bit - checkBits);
  }
  return (value << checkBits) | rest;
}

/**
 * @param {number} version
 * @param {number} mask
 * @param {boolean[]} bits
 */
function drawn(version, mask, bits) {
  const { size } = shapeOf(version);
  /** @type {(boolean|null)[][]} */
  const fixed = Array.from({ length: size }, () => Array.from({ length: size }, () => null));
  drawPatterns(fixed, version);
  drawFormat(fixed, mask);
  if (version >= 7) drawVersion(fixed, version);
  const isMasked = MASKS[mask];
  const symbol = fixed.map((row) => row.map((module) => module === true));
  let at = 0;
  let upward = true;
  // Two columns at a time from the right, up and down in turn; the timing column is left out.
  for (let right = size - 1; right > 0; right -= right === 8 ? 3 : 2) {
    for (let step = 0; step < size; step += 1) {
      const row = upward ? size - 1 - step : step;
      for (const column of [right, right - 1]) {
        const line = symbol[row];
        if (!line || fixed[row]?.[column] !== null) continue;
        line[column] = (bits[at] ?? false) !== isMasked?.(row, column);
        at += 1;
      }
    }
    upward = !upward;
  }
  return symbol;
}

/**
 * @param {(boolean|null)[][]} modules
 * @param {number} row
 * @param {number} column
 * @param {boolean} dark
 */
function put(modules, row, column, dark) {
  const line = modules[row];
  if (line && column >= 0 && column < line.length) line[column] = dark;
}

/**
 * Timing, finders with their separators, alignment.
 * @param {(boolean|null)[][]} modules
 * @param {number} version
 */
function drawPatterns(modules, version) {
  const { size, centres } = shapeOf(version);
  for (let at = 0; at < size; at += 1) {
    put(modules, 6, at, at % 2 === 0);
    put(modules, at, 6, at % 2 === 0);
  }
  for (const [row, column] of /** @type {[number, number][]} */ ([[3, 3], [3, size - 4], [size - 4, 3]])) {
    rings(modules, row, column, 4, (distance) => distance !== 2 && distance !== 4);
  }
  const last = size - 7;
  for (const row of centres) {
    for (const column of centres) {
      const atFinder = (row === 6 && column === 6) || (row === 6 && column === last) || (row === last && column === 6);
      if (!atFinder) rings(modules, row, column, 2, (distance) => distance !== 1);
    }
  }
}

/**
 * Squares around a centre.
 * @param {(boolean|null)[][]} modules
 * @param {number} row
 * @param {number} column
 * @param {number} radius
 * @param {(distance: number) => boolean} isDark
 */
function rings(modules, row, column, radius, isDark) {
  for (let down = -radius; down <= radius; down += 1) {
    for (let right = -radius; right <= radius; right += 1) {
      put(modules, row + down, column + right, isDark(Math.max(Math.abs(down), Math.abs(right))));
    }
  }
}

/**
 * Level and mask, twice (7.9); level M is 00.
 * @param {(boolean|null)[][]} modules
 * @param {number} mask
 */
function drawFormat(modules, mask) {
  const size = modules.length;
  const word = checked(mask, 0x537, 10) ^ 0x5412;
  for (let bit = 0; bit < 15; bit += 1) {
    const dark = ((word >> bit) & 1) === 1;
    // Around the upper left finder, past the timing patterns.
    if (bit < 8) put(modules, bit < 6 ? bit : bit + 1, 8, dark);
    else put(modules, 8, bit === 8 ? 7 : 14 - bit, dark);
    // Beside the two others.
    if (bit < 8) put(modules, 8, size - 1 - bit, dark);
    else put(modules, size - 15 + bit, 8, dark);
  }
  put(modules, size - 8, 8, true);
}

/**
 * The version, twice (7.10).
 * @param {(boolean|null)[][]} modules
 * @param {number} version
 */
function drawVersion(modules, version) {
  const edge = modules.length - 11;
  const word = checked(version, 0x1f25, 12);
  for (let bit = 0; bit < 18; bit += 1) {
    const dark = ((word >> bit) & 1) === 1;
    put(modules, Math.floor(bit / 3), edge + (bit % 3), dark);
    put(modules, edge + (bit % 3), Math.floor(bit / 3), dark);
  }
}

/**
 * How hard a symbol is to read (7.8.3).
 * @param {boolean[][]} symbol
 */
function penalty(symbol) {
  const size = symbol.length;
  const lines = [...symbol, ...symbol.map((_, column) => symbol.map((row) => row[column] === true))];
  let cost = 0;
  for (const line of lines) {
    const text = line.map((dark) => (dark ? "1" : "0")).join("");
    for (const [run] of text.matchAll(/0{5,}|1{5,}/g)) cost += run.length - 2;
    // What looks like a finder, with four light modules before or behind it.
    cost += 40 * [...text.matchAll(/(?=00001011101|10111010000)/g)].length;
  }
  for (let row = 1; row < size; row += 1) {
    for (let column = 1; column < size; column += 1) {
      const dark = symbol[row]?.[column];
      const equal = symbol[row - 1]?.[column] === dark && symbol[row]?.[column - 1] === dark && symbol[row - 1]?.[column - 1] === dark;
      if (equal) cost += 3;
    }
  }
  const darkCount = symbol.flat().filter(Boolean).length;
  return cost + 10 * Math.floor(Math.abs((100 * darkCount) / (size * size) - 50) / 5);
}
