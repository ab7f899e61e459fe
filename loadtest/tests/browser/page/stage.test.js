// Where tiles go and which are on the page: arithmetic, without a browser.

import assert from "node:assert/strict";
import { test } from "node:test";
import { arrange, cornerOf, pageSize } from "../../../../web/page/arrange.js";
import { Pager } from "../../../../web/page/pager.js";
import { barsOf, barsShown } from "../../../../web/page/quality.js";

const STAGES = [[390, 700], [764, 374], [1_264, 632], [1_904, 992]];

/** @param {Iterable<{x: number, y: number, width: number, height: number}>} list @param {number} width @param {number} height */
function assertInsideAndApart(list, width, height) {
  const boxes = [...list];
  for (const [index, box] of boxes.entries()) {
    assert.ok(box.width > 0 && box.height > 0, `${index} is there`);
    assert.ok(box.x >= 0 && box.y >= 0 && box.x + box.width <= width + 1 && box.y + box.height <= height + 1, `${index} is inside`);
    for (const other of boxes.slice(index + 1)) {
      const apart = box.x + box.width <= other.x || other.x + other.width <= box.x || box.y + box.height <= other.y || other.y + other.height <= box.y;
      assert.ok(apart, `${index} lies apart`);
    }
  }
}

test("every number of people in every view has a place inside, apart from the others", () => {
  for (const [width = 0, height = 0] of STAGES) {
    for (let count = 0; count <= 24; count += 1) {
      const others = Array.from({ length: count }, (_, index) => `p${index}`);
      for (const self of ["me", null]) {
        for (const main of count > 0 && count <= 5 ? [null, "p0", "screen"] : [null]) {
          const shown = others.filter((key) => key !== main);
          const { boxes, card, isPair } = arrange({ others: shown, self, main, corner: "bottom-right", width, height });
          assert.equal(boxes.size, shown.length + (self ? 1 : 0) + (main ? 1 : 0));
          assert.equal(isPair, main === null && count === 1 && self !== null);
          assert.equal(card !== null, main === null && count === 0);
          // One's own small view lies on the other's.
          if (!isPair) assertInsideAndApart([...boxes.values(), ...(card ? [card] : [])], width, height);
        }
      }
    }
  }
});

test("an upright phone shows three or four under each other, nearly 16:9, and six in two columns", () => {
  for (const [count = 0, columns] of [[3, 1], [4, 1], [5, 2], [6, 2]]) {
    const others = Array.from({ length: count - 1 }, (_, index) => `p${index}`);
    const { boxes } = arrange({ others, self: "me", main: null, corner: "bottom-right", width: 374, height: 750 });
    assert.equal(new Set([...boxes.values()].slice(0, 2).map(({ x }) => x)).size, columns, `${count} people`);
    // No more than a quarter of a picture is cut off, or two thirds where faces stand upright.
    const { width = 0, height = 0 } = boxes.get("me") ?? {};
    const ratio = 16 / 9 / (width / height);
    assert.ok(1 - Math.min(ratio, 1 / ratio) < (height > width ? 0.65 : 0.255), `${count} people: ${width}x${height} is filled`);
  }
});

test("who is alone is shown whole, and the card is as high where that is enough", () => {
  for (const [width = 0, height = 0, isHigh] of [[1_264, 712, true], [1_264, 632, true], [748, 374, false]]) {
    const { boxes, card } = arrange({ others: [], self: "me", main: null, corner: "bottom-right", width, height });
    const own = boxes.get("me");
    assert.ok(own && card);
    assert.ok(Math.abs(own.width / own.height - 16 / 9) < 0.01);
    assert.equal(card.height === own.height && card.y === own.y, isHigh, `${width}x${height}`);
  }
});

test("one's own small view rests in the corner it was dragged to", () => {
  for (const corner of /** @type {const} */ (["top-left", "top-right", "bottom-left", "bottom-right"])) {
    const { boxes } = arrange({ others: ["ada"], self: "me", main: null, corner, width: 1_000, height: 600 });
    const box = boxes.get("me");
    assert.ok(box);
    assert.equal(cornerOf(box.x + box.width / 2, box.y + box.height / 2, 1_000, 600), corner);
    assert.ok(box.x >= 16 && box.x + box.width <= 984 && box.y >= 16 && box.y + box.height <= 584);
  }
});

test("a page holds 25 tiles on a desktop, 9 on a tablet, 6 on a phone", () => {
  for (const [width = 0, height = 0, size] of [[1_920, 1_080, 25], [1_280, 720, 25], [1_024, 768, 9], [768, 1_024, 9], [390, 844, 6], [844, 390, 6]]) {
    assert.equal(pageSize(width, height), size, `${width}x${height}`);
  }
});

test("a speaker off the page takes the place of who was silent longest, and nobody else moves", () => {
  const pager = new Pager();
  pager.update(["a", "b", "c", "d", "e"]);
  assert.equal(pager.pages(3), 2);
  assert.deepEqual(pager.visible(3), ["a", "b", "c"]);
  assert.equal(pager.heard("a", 1, 3), false);
  assert.equal(pager.heard("c", 2, 3), false);
  assert.equal(pager.heard("e", 3, 3), true);
  assert.deepEqual(pager.visible(3), ["a", "e", "c"]);
  assert.equal(pager.heard("d", 4, 3), true);
  assert.deepEqual(pager.visible(3), ["d", "e", "c"]);
  // Who leaves makes room; who comes is last; nobody is lost.
  pager.update(["a", "b", "c", "d", "f"]);
  assert.deepEqual(pager.visible(5), ["d", "c", "a", "b", "f"]);
  pager.page = 7;
  assert.deepEqual(pager.visible(3), ["b", "f"]);
  assert.equal(pager.heard("nobody", 9, 3), false);
});

test("bars fall with loss and round trip at the stated limits", () => {
  for (const [loss = 0, rtt = 0, bars] of [[0, 0, 3], [2, 200, 3], [2.1, 0, 2], [0, 201, 2], [8, 500, 2], [8.1, 0, 1], [0, 501, 1]]) {
    assert.equal(barsOf(loss, rtt), bars, `${loss} % ${rtt} ms`);
  }
});

test("a tile shows the worse of a connection and how it arrives, unless one's own connection is why", () => {
  for (const [theirs, arriving, own, bars] of /** @type {const} */ ([
    ["GOOD", 3, "GOOD", 3],
    ["GOOD", 1, "GOOD", 1],
    ["GOOD", 1, "FAIR", 3],
    ["FAIR", 3, "GOOD", 2],
    ["FAIR", 1, "GOOD", 1],
    ["FAIR", 1, "POOR", 2],
    ["POOR", 3, "LOST", 1],
    ["LOST", undefined, "GOOD", 1],
    // Nothing of theirs arrives, and nothing is known to be wrong.
    ["GOOD", undefined, "GOOD", undefined],
  ])) {
    assert.equal(barsShown(theirs, arriving, own), bars, `${theirs} ${arriving} ${own}`);
  }
});
