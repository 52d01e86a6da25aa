// An echo server on the npm package ws. Prints its port.
const { WebSocketServer } = require("ws");
const deflate = { none: false, plain: true, takeover: { threshold: 0 } }[process.argv[2]];
const server = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: deflate, maxPayload: 32 << 20,
  handleProtocols: (offered) => offered.values().next().value });
server.on("connection", (ws) => {
  ws.on("message", (data, isBinary) => {
    if (String(data) === "close me") return ws.close(4002, "as you wish");
    if (String(data) === "ping me") return ws.ping("you?");
    ws.send(data, { binary: isBinary });
  });
  ws.on("pong", (data) => ws.send("pong " + data));
  ws.on("error", () => {});
});
server.on("listening", () => console.log(server.address().port));
