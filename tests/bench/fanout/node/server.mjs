// Socket.IO as its documentation shows it: what one client publishes, all others get.
import { createServer } from "node:http";
import { Server } from "socket.io";

const http = createServer();
const io = new Server(http, { transports: ["websocket"], perMessageDeflate: false });
io.on("connection", (socket) => socket.on("publish", (message) => socket.broadcast.emit("message", message)));
http.listen({ port: Number(process.argv[2]), host: "127.0.0.1", backlog: 1024 });
