// Socket.IO as its documentation shows it: what one client publishes, all others get; who comes is told what there is.
import { createServer } from "node:http";
import { Server } from "socket.io";

const http = createServer();
const io = new Server(http, { transports: ["websocket"], perMessageDeflate: false, pingInterval: 300_000 });
let retained = [];
io.on("connection", (socket) => {
  for (const message of retained) socket.emit("message", message);
  socket.on("publish", (message) => socket.broadcast.emit("message", message));
  socket.on("retain", (count, done) => {
    const topic = (i) => `bench/level/${String(i).padStart(5, "0")}`;
    retained = Array.from({ length: count }, (_, i) => ({ topic: topic(i), payload: { value: i, unit: "C" } }));
    done();
  });
});
http.listen({ port: Number(process.argv[2]), host: "127.0.0.1", backlog: 1024 });
