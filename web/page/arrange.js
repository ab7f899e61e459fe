// Where each tile of a page goes. Arithmetic only.

import { focus, GAP, grid, pair } from "./grid.js";

/** @import {Box} from "./grid.js" */

/** Tiles beside the large one. */
export const STRIP = 5;
/** Narrower is a phone. */
const PHONE = 600;
/** So many tiles under each other are as large as an upright phone can show them. */
const COLUMN_MAX = 4;
/** The card that says how to invite needs so much to show its QR code. */
const CARD_MIN = 360;
/** The small tile of oneself keeps away from the edges. */
const MARGIN = 16;

/** @typedef {"top-left"|"top-right"|"bottom-left"|"bottom-right"} Corner */

/**
 * How many tiles fit a page that is read with ease: desktop, tablet, phone.
 * @param {number} width of the window
 * @param {number} height
 */
export function pageSize(width, height) {
  if (Math.min(width, height) < PHONE) return 6;
  return Math.max(width, height) <= 1_100 ? 9 : 25;
}

/**
 * @param {{
 *   others: string[], self: string|null, main: string|null, corner: Corner,
 *   width: number, height: number
 * }} what `others`: on this page, in order; `main`: shown large, or null
 * @returns {{boxes: Map<string, Box>, card: Box|null, isPair: boolean}} `card`: for who is alone
 */
export function arrange({ others, self, main, corner, width, height }) {
  const all = self === null ? others : [...others, self];
  const boxes = new Map();
  /** @param {string[]} keys @param {Box[]} list */
  const assign = (keys, list) => keys.forEach((key, index) => boxes.set(key, list[index]));
  if (main !== null) {
    const strip = all.filter((key) => key !== main);
    assign([main, ...strip], focus(strip.length + 1, width, height));
  } else if (others.length === 0) {
    const [own, card] = alone(width, height);
    if (self !== null) boxes.set(self, own);
    return { boxes, card: card ?? null, isPair: false };
  } else if (others.length === 1 && self !== null) {
    const [other, own] = pair(width, height);
    assign(others, other ? [other] : []);
    if (own) boxes.set(self, cornered(own, corner, width, height));
    return { boxes, card: null, isPair: true };
  } else {
    assign(all, width < PHONE && height > width ? upright(all.length, width, height) : grid(all.length, width, height));
  }
  return { boxes, card: null, isPair: false };
}

/**
 * What an upright phone shows: few under each other, where they are nearly 16:9, more in two
 * columns; as high as there is room for.
 * @param {number} count
 * @param {number} width
 * @param {number} height
 * @returns {Box[]}
 */
function upright(count, width, height) {
  const columns = count <= COLUMN_MAX ? 1 : 2;
  const rows = Math.ceil(count / columns);
  const tile = { width: Math.floor((width - GAP * (columns - 1)) / columns), height: Math.floor((height - GAP * (rows - 1)) / rows) };
  return Array.from({ length: count }, (_, index) => {
    const isAlone = index === count - 1 && count % columns === 1;
    const x = isAlone ? Math.round((width - tile.width) / 2) : (index % columns) * (tile.width + GAP);
    return { x, y: Math.floor(index / columns) * (tile.height + GAP), ...tile };
  });
}

/**
 * A box in a corner.
 * @param {Box} box
 * @param {Corner} corner
 * @param {number} width
 * @param {number} height
 * @returns {Box}
 */
export function cornered(box, corner, width, height) {
  const isLeft = corner.endsWith("left");
  const isTop = corner.startsWith("top");
  return { ...box, x: isLeft ? MARGIN : width - box.width - MARGIN, y: isTop ? MARGIN : height - box.height - MARGIN };
}

/**
 * The corner a point is nearest to.
 * @param {number} x
 * @param {number} y
 * @param {number} width
 * @param {number} height
 * @returns {Corner}
 */
export function cornerOf(x, y, width, height) {
  return `${y < height / 2 ? "top" : "bottom"}-${x < width / 2 ? "left" : "right"}`;
}

/**
 * Alone: oneself large, beside it (below on a phone) the card that says how to invite.
 * @param {number} width
 * @param {number} height
 * @returns {Box[]}
 */
function alone(width, height) {
  if (width < 720) {
    const card = Math.min(320, height * 0.5);
    return [{ x: 0, y: 0, width, height: height - card - GAP }, { x: 0, y: height - card, width, height: card }];
  }
  const card = Math.min(360, width * 0.42);
  const [own = { x: 0, y: 0, width: 0, height: 0 }] = grid(1, width - card - GAP, height);
  // As high as the picture, where that is enough.
  const isHigh = own.height >= CARD_MIN;
  return [own, { x: width - card, y: isHigh ? own.y : 0, width: card, height: isHigh ? own.height : height }];
}
