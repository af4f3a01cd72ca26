// @ts-check
/** What may stand between a browser and the hub: a reverse proxy, with and without TLS, a prefix and upgrades; and a bad network. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import net from "node:net";
import { join } from "node:path";

/** @param {net.Server} server @returns {Promise<number>} */
const listen = (server) => new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(/** @type {net.AddressInfo} */ (server.address()).port)));

/** A certificate that nobody has to trust. @param {string} dir */
function certificate(dir) {
  const [key, cert] = [join(dir, "proxy.key"), join(dir, "proxy.pem")];
  execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert], { stdio: "ignore" });
  return { key: readFileSync(key), cert: readFileSync(cert) };
}

/**
 * A reverse proxy in front of `hub`.
 * @param {import("./hub.js").Hub} hub
 * @param {{tls?: boolean, prefix?: string, strip?: boolean, upgrades?: boolean}} [options] `prefix` such as "/hub", which is taken off with `strip`
 */
export async function reverseProxy(hub, { tls = false, prefix = "", strip = false, upgrades = true } = {}) {
  const [host, port] = hub.http.split(":");
  let refused = 0;
  const target = (/** @type {http.IncomingMessage} */ request) => {
    const path = strip ? (request.url ?? "/").slice(prefix.length) : request.url;
    const headers = { ...request.headers, "x-forwarded-proto": tls ? "https" : "http" };
    return { host, port, method: request.method, path, headers };
  };
  const inside = (/** @type {http.IncomingMessage} */ request) => (request.url ?? "/").startsWith(`${prefix}/`);
  const answer = (/** @type {http.IncomingMessage} */ request, /** @type {http.ServerResponse} */ response) => {
    if (!inside(request)) return void response.writeHead(404).end();
    const onward = http.request(target(request), (got) => {
      response.writeHead(got.statusCode ?? 502, got.headers);
      got.pipe(response);
    });
    onward.on("error", () => response.destroy());
    response.on("close", () => onward.destroy());
    request.pipe(onward);
  };
  const server = tls ? https.createServer(certificate(hub.dir), answer) : http.createServer(answer);
  /** @type {Set<import("node:stream").Duplex>} */
  const sockets = new Set();
  server.on(tls ? "secureConnection" : "connection", (socket) => sockets.add(socket));
  server.on("upgrade", (request, socket, head) => {
    if (!upgrades || !inside(request)) {
      refused += 1;
      return void socket.end("HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    }
    const onward = http.request(target(request));
    onward.on("error", () => socket.destroy());
    onward.on("upgrade", (got, hubSocket, hubHead) => {
      const lines = Object.entries(got.headers).map(([name, value]) => `${name}: ${value}\r\n`);
      socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join("")}\r\n`);
      socket.write(hubHead);
      hubSocket.write(head);
      socket.on("error", () => hubSocket.destroy()).on("close", () => hubSocket.destroy());
      hubSocket.on("error", () => socket.destroy()).on("close", () => socket.destroy());
      hubSocket.pipe(socket).pipe(hubSocket);
    });
    onward.end();
  });
  const at = await listen(server);
  return {
    url: `${tls ? "https" : "http"}://127.0.0.1:${at}${prefix}/`,
    refused: () => refused,
    /** From now on upgrades pass, or do not. @param {boolean} pass */
    upgrades: (pass) => void (upgrades = pass),
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A cable to `hub` that can be pulled: nothing passes then, and nobody is told. @param {import("./hub.js").Hub} hub */
export async function cable(hub) {
  let pulled = false;
  /** @type {Set<net.Socket>} */
  const ends = new Set();
  const server = net.createServer((near) => {
    ends.add(near);
    near.on("error", () => {}).on("close", () => ends.delete(near));
    if (pulled) return;
    const [host, port] = hub.http.split(":");
    const far = net.connect(Number(port), host);
    ends.add(far);
    far.on("error", () => near.destroy()).on("close", () => (ends.delete(far), pulled || near.destroy()));
    near.on("close", () => pulled || far.destroy());
    near.on("data", (data) => pulled || far.write(data));
    far.on("data", (data) => pulled || near.write(data));
  });
  const at = await listen(server);
  return {
    url: `http://127.0.0.1:${at}/`,
    pull: () => void (pulled = true),
    plug: () => {
      pulled = false;
      // What was connected through it is not again.
      for (const end of ends) end.destroy();
    },
    close: async () => {
      for (const end of ends) end.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
