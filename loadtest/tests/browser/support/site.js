// A site of its own beside the server: another origin of this machine, as an application's page
// would be. It serves `pages/` and, unchanged, what npm installed.

import { existsSync, readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";

const HERE = fileURLToPath(new URL("..", import.meta.url));

/** Starts the site; `/` is `page`. */
export async function startSite(/** @type {string} */ page) {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://localhost");
    const inside = pathname.startsWith("/node_modules/") && !pathname.includes("..");
    const path = inside ? HERE + pathname : `${HERE}pages/${pathname === "/" ? page : pathname.slice(1)}`;
    if (pathname.includes("..") || !existsSync(path) || !statSync(path).isFile()) {
      response.statusCode = 404;
      response.end();
      return;
    }
    response.setHeader("content-type", path.endsWith(".js") ? "text/javascript" : "text/html");
    response.end(readFileSync(path));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  return {
    url: `http://127.0.0.1:${port}`,
    close: () => server.close(),
  };
}
