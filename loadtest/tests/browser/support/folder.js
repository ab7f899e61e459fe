// A web server of somebody else's: pages of ours and the library beside them, as an application
// would serve it.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";

const LIBRARY = new URL("../../../../web/plenum/", import.meta.url);
const TYPES = { html: "text/html", js: "text/javascript" };

/**
 * Serves a folder at `/`, the library at `/plenum/`.
 * @param {URL} folder
 */
export async function startFolder(folder) {
  const site = createServer((request, response) => {
    const path = new URL(request.url ?? "/", "http://localhost").pathname;
    const inside = path.startsWith("/plenum/") ? new URL(`.${path.slice("/plenum".length)}`, LIBRARY) : new URL(path === "/" ? "./index.html" : `.${path}`, folder);
    const type = TYPES[/** @type {"html"|"js"} */ (inside.pathname.split(".").at(-1))];
    try {
      const bytes = readFileSync(fileURLToPath(inside));
      response.writeHead(200, { "content-type": type ?? "text/plain" }).end(bytes);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => site.listen(0, "127.0.0.1", () => resolve(undefined)));
  const { port } = /** @type {import("node:net").AddressInfo} */ (site.address());
  return { url: `http://127.0.0.1:${port}`, close: () => site.close() };
}
