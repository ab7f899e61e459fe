// Looking closer at a shared screen: wheel or pinch zooms, dragging moves.

const MOST = 6;

/**
 * Makes what a tile shows zoomable, while `isOn` says so.
 * @param {HTMLElement} tile
 * @param {HTMLElement} picture
 * @param {() => boolean} isOn
 * @returns {() => void} ends it
 */
export function zoomable(tile, picture, isOn) {
  let [scale, x, y] = [1, 0, 0];
  /** @type {Map<number, PointerEvent>} */
  const fingers = new Map();
  const draw = () => {
    const { clientWidth, clientHeight } = tile;
    // No edge of the picture comes inside the tile.
    x = Math.min(0, Math.max(clientWidth * (1 - scale), x));
    y = Math.min(0, Math.max(clientHeight * (1 - scale), y));
    picture.style.transformOrigin = "0 0";
    picture.style.transform = scale === 1 ? "" : `translate(${x}px, ${y}px) scale(${scale})`;
  };
  /** @param {number} factor @param {number} clientX @param {number} clientY */
  const zoom = (factor, clientX, clientY) => {
    const box = tile.getBoundingClientRect();
    const [atX, atY] = [clientX - box.left, clientY - box.top];
    const next = Math.min(MOST, Math.max(1, scale * factor));
    // What is under the pointer stays there.
    x = atX - ((atX - x) / scale) * next;
    y = atY - ((atY - y) / scale) * next;
    scale = next;
    draw();
  };
  tile.addEventListener("wheel", (event) => {
    if (!isOn()) return;
    event.preventDefault();
    zoom(Math.exp(-event.deltaY / 300), event.clientX, event.clientY);
  }, { passive: false });
  tile.addEventListener("pointerdown", (event) => {
    if (isOn()) fingers.set(event.pointerId, event);
  });
  tile.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before || !isOn()) return;
    const other = [...fingers.values()].find(({ pointerId }) => pointerId !== event.pointerId);
    if (other) {
      const apart = (/** @type {PointerEvent} */ one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
      zoom(apart(event) / Math.max(1, apart(before)), (event.clientX + other.clientX) / 2, (event.clientY + other.clientY) / 2);
    } else if (scale > 1) {
      x += event.clientX - before.clientX;
      y += event.clientY - before.clientY;
      draw();
    }
    fingers.set(event.pointerId, event);
  });
  for (const name of /** @type {const} */ (["pointerup", "pointercancel", "pointerleave"])) {
    tile.addEventListener(name, (event) => fingers.delete(event.pointerId));
  }
  return () => {
    scale = 1;
    draw();
  };
}
