// Where tiles go: arithmetic only.

/** @typedef {{x: number, y: number, width: number, height: number}} Box */

export const GAP = 8;
const RATIO = 16 / 9;
/** The part of the stage that what is shown large takes; the filmstrip has the rest. */
const FOCUS_SHARE = 0.75;

/**
 * The column count that makes 16:9 tiles largest; the last row is centred.
 * @param {number} count
 * @param {number} width
 * @param {number} height
 * @returns {Box[]}
 */
export function grid(count, width, height) {
  let best = { columns: 1, tile: 0 };
  for (let columns = 1; columns <= count; columns += 1) {
    const rows = Math.ceil(count / columns);
    const byWidth = (width - GAP * (columns - 1)) / columns;
    const byHeight = ((height - GAP * (rows - 1)) / rows) * RATIO;
    const tile = Math.floor(Math.min(byWidth, byHeight));
    if (tile > best.tile) best = { columns, tile };
  }
  const tile = { width: Math.max(0, best.tile), height: Math.max(0, Math.floor(best.tile / RATIO)) };
  const rows = Math.ceil(count / best.columns);
  const top = (height - rows * tile.height - (rows - 1) * GAP) / 2;
  /** @type {Box[]} */
  const boxes = [];
  for (let index = 0; index < count; index += 1) {
    const row = Math.floor(index / best.columns);
    const inRow = row === rows - 1 ? count - row * best.columns : best.columns;
    const left = (width - inRow * tile.width - (inRow - 1) * GAP) / 2;
    const column = index % best.columns;
    boxes.push({
      x: Math.round(left + column * (tile.width + GAP)),
      y: Math.round(top + row * (tile.height + GAP)),
      ...tile,
    });
  }
  return boxes;
}

/**
 * One large, the others in a strip: to the right, or below where the stage is upright.
 * @param {number} count all, the large one first
 * @param {number} width
 * @param {number} height
 * @returns {Box[]}
 */
export function focus(count, width, height) {
  if (count < 2) return [{ x: 0, y: 0, width, height }];
  const upright = height > width;
  const length = upright ? height : width;
  const large = Math.round(length * FOCUS_SHARE - GAP / 2);
  const rest = length - large - GAP;
  const strip = upright
    ? grid(count - 1, width, rest).map((box) => ({ ...box, y: box.y + large + GAP }))
    : column(count - 1, rest, height).map((box) => ({ ...box, x: box.x + large + GAP }));
  const first = upright ? { x: 0, y: 0, width, height: large } : { x: 0, y: 0, width: large, height };
  return [first, ...strip];
}

/**
 * Tiles under each other, or a grid where they would become thinner than that.
 * @param {number} count
 * @param {number} width
 * @param {number} height
 */
function column(count, width, height) {
  const boxes = grid(count, width, height);
  const top = Math.min(...boxes.map(({ y }) => y));
  return boxes.map((box) => ({ ...box, y: box.y - top }));
}

/**
 * Two people: the other one full, oneself small in the corner.
 * @param {number} width
 * @param {number} height
 * @returns {Box[]} the other's, then one's own
 */
export function pair(width, height) {
  const own = Math.round(Math.max(120, width * 0.2));
  const ownHeight = Math.round(own / RATIO);
  return [
    { x: 0, y: 0, width, height },
    { x: width - own - 16, y: height - ownHeight - 16, width: own, height: ownHeight },
  ];
}
