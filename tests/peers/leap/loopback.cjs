// Loaded before LEAP (node -r): it listens on the loopback interface alone, reaches nothing else, and, where
// PINNED_NOW is set, has that clock. LEAP itself is run as it is.
"use strict";
const net = require("node:net");

const HOME = "127.0.0.1";
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (port, ...rest) {
  const done = rest.find((each) => typeof each === "function");
  return listen.call(this, { port, host: HOME }, () => {
    process.stdout.write(`LISTENING ${this.address().port}\n`);
    if (done) done();
  });
};

const connect = net.Socket.prototype.connect;
net.Socket.prototype.connect = function (...args) {
  const told = Array.isArray(args[0]) ? args[0][0] : args[0];
  if (!told || told.host !== HOME) throw new Error("only the loopback interface may be reached");
  return connect.apply(this, args);
};

if (process.env.PINNED_NOW) {
  const now = Number(process.env.PINNED_NOW);
  Date.now = () => now;
}
