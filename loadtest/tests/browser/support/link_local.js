// An interface without its automatic IPv6 address.

/**
 * A link-local address comes up a second or two after its interface: a change of network, under
 * which Chromium gives up the page it is loading (ERR_NETWORK_CHANGED). So there shall be none.
 * @param {(line: string) => unknown} ip runs `ip` where the interface is
 * @param {string} name of the interface
 */
export function withoutLinkLocal(ip, name) {
  try {
    ip(`link set ${name} addrgenmode none`);
  } catch {
    // A kernel without IPv6 knows no such mode, and makes no such address.
  }
}
