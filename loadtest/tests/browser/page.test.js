// The page's arithmetic, without a browser.

import assert from "node:assert/strict";
import { test } from "node:test";
import { focus, GAP, grid } from "../../../web/page/grid.js";

const STAGES = [[390, 700], [844, 310], [1_280, 640], [1_920, 1_000]];

/** @param {{x: number, y: number, width: number, height: number}[]} boxes @param {number} width @param {number} height */
function assertInsideAndApart(boxes, width, height) {
  for (const [index, box] of boxes.entries()) {
    assert.ok(box.x >= 0 && box.y >= 0 && box.x + box.width <= width + 1 && box.y + box.height <= height + 1, `${index} is inside`);
    for (const other of boxes.slice(index + 1)) {
      const apart =
        box.x + box.width + GAP <= other.x + 1 || other.x + other.width + GAP <= box.x + 1 ||
        box.y + box.height + GAP <= other.y + 1 || other.y + other.height + GAP <= box.y + 1;
      assert.ok(apart, `${index} keeps its distance`);
    }
  }
}

test("one to 49 tiles are 16:9, inside, apart and as large as any column count makes them", () => {
  for (const [width = 0, height = 0] of STAGES) {
    for (let count = 1; count <= 49; count += 1) {
      const boxes = grid(count, width, height);
      assert.equal(boxes.length, count);
      assertInsideAndApart(boxes, width, height);
      for (const box of boxes) assert.ok(Math.abs(box.width / box.height - 16 / 9) < 0.05);
      for (let columns = 1; columns <= count; columns += 1) {
        const rows = Math.ceil(count / columns);
        const possible = Math.min((width - GAP * (columns - 1)) / columns, (((height - GAP * (rows - 1)) / rows) * 16) / 9);
        assert.ok((boxes[0]?.width ?? 0) >= Math.floor(possible));
      }
    }
  }
});

test("what is shown large takes three quarters and the strip stays beside it", () => {
  for (const [width = 0, height = 0] of STAGES) {
    for (let count = 2; count <= 12; count += 1) {
      const boxes = focus(count, width, height);
      assertInsideAndApart(boxes, width, height);
      const [large] = boxes;
      assert.ok(large && Math.abs(Math.max(large.width / width, large.height / height) - 1) < 0.01);
      assert.ok(Math.abs(Math.min(large.width / width, large.height / height) - 0.75) < 0.03);
    }
  }
});
