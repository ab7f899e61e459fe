// The small tile of oneself beside one other: it can be dragged and rests in a corner.

import { cornerOf } from "./arrange.js";

/** @import {Corner} from "./arrange.js" */

/** A press that moves less is no drag. */
const SLACK = 6;

export class OwnView {
  /** @type {Corner} */
  corner = "bottom-right";
  /** Whether it may be dragged now. */
  isLoose = false;
  #stage;
  #moved;

  /**
   * @param {HTMLElement} stage
   * @param {() => void} moved it rests in another corner
   */
  constructor(stage, moved) {
    this.#stage = stage;
    this.#moved = moved;
  }

  /** @param {HTMLElement} element */
  follow(element) {
    element.addEventListener("pointerdown", (event) => {
      if (!this.isLoose || event.button !== 0 || /** @type {Element} */ (event.target).closest("button")) return;
      this.#drag(element, event);
    });
  }

  /**
   * @param {HTMLElement} element
   * @param {PointerEvent} start
   */
  #drag(element, start) {
    const from = element.style.transform;
    let isDragged = false;
    element.setPointerCapture(start.pointerId);
    const move = (/** @type {PointerEvent} */ event) => {
      const [x, y] = [event.clientX - start.clientX, event.clientY - start.clientY];
      isDragged ||= Math.hypot(x, y) > SLACK;
      if (!isDragged) return;
      element.classList.add("dragged");
      element.style.transform = `${from} translate(${x}px, ${y}px)`;
    };
    const end = (/** @type {PointerEvent} */ event) => {
      element.removeEventListener("pointermove", move);
      element.removeEventListener("pointerup", end);
      element.removeEventListener("pointercancel", end);
      element.classList.remove("dragged");
      if (!isDragged) return;
      const stage = this.#stage.getBoundingClientRect();
      this.corner = cornerOf(event.clientX - stage.left, event.clientY - stage.top, stage.width, stage.height);
      this.#moved();
    };
    element.addEventListener("pointermove", move);
    element.addEventListener("pointerup", end);
    element.addEventListener("pointercancel", end);
  }
}
