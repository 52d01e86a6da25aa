// Speaks with an echo server through the npm package ws, with and without compression, and prints "ok".
const WebSocket = require("ws");
const [url, deflate] = process.argv.slice(2);

const options = { none: false, plain: true,
  small: { clientMaxWindowBits: 9, serverMaxWindowBits: 9, threshold: 0 },
  alone: { serverNoContextTakeover: true, clientNoContextTakeover: true, threshold: 0 } }[deflate];
const messages = ["", "grüße €", "x".repeat(125), "y".repeat(126), "z".repeat(65536), "json ".repeat(100000),
  Buffer.alloc(0), Buffer.from([0, 255, 128]), Buffer.alloc(300000, "abc")];
const ws = new WebSocket(url, ["chat"], { perMessageDeflate: options });
let next = 0;
const fail = (why) => { console.error(why); process.exit(1); };
ws.on("error", fail);
ws.on("open", () => {
  if (deflate !== "none" !== ws.extensions.includes("permessage-deflate")) fail("extensions: " + ws.extensions);
  for (const m of messages) ws.send(m);
  ws.ping("are you there?");
});
let pongs = 0;
ws.on("pong", (data) => { if (String(data) !== "are you there?") fail("pong " + data); pongs++; });
ws.on("message", (data, isBinary) => {
  const want = messages[next++];
  if (isBinary !== (typeof want !== "string")) fail("the kind of message " + next);
  if (!data.equals(Buffer.from(want))) fail("message " + next + " differs");
  if (next === messages.length) ws.close(4321, "done");
});
ws.on("close", (code) => {
  if (next !== messages.length || pongs !== 1) fail("closed after " + next + " messages, " + pongs + " pongs");
  if (code !== 4321) fail("closed with " + code);
  console.log("ok");
});
