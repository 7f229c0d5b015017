// A gRPC service and client of @grpc/grpc-js, with the same calls as grpcpeer.py; messages are bytes.
//
// `node grpcpeer.mjs MODULES serve` prints the port that it listens on; `node grpcpeer.mjs MODULES call PORT MS`
// makes every kind of call, with a ping each MS milliseconds, and prints what came of each, as one JSON object.
import { createRequire } from "node:module";

const grpc = createRequire(`${process.argv[2]}/`)("@grpc/grpc-js");
const asIs = (bytes) => bytes;
const method = (name, requestStream, responseStream) => ({
  path: `/test.Echo/${name}`,
  requestStream,
  responseStream,
  requestSerialize: asIs,
  requestDeserialize: asIs,
  responseSerialize: asIs,
  responseDeserialize: asIs,
});
const definition = {
  Unary: method("Unary", false, false),
  Fail: method("Fail", false, false),
  Fill: method("Fill", false, false),
  Count: method("Count", false, true),
  Repeat: method("Repeat", false, true),
  Endless: method("Endless", false, true),
  Join: method("Join", true, false),
  Gather: method("Gather", true, false),
  Echo: method("Echo", true, true),
  Nothing: method("Nothing", false, false),
};

function failure() {
  const metadata = new grpc.Metadata();
  metadata.set("grpc-status-details-bin", Buffer.from([1, 2, 255]));
  return { code: grpc.status.FAILED_PRECONDITION, details: "no milk: café", metadata };
}

function collected(call, done) {
  const parts = [];
  call.on("data", (part) => parts.push(part));
  call.on("end", () => done(parts));
}

const calls = {
  Unary: (call, done) => done(null, call.request),
  Fail: (call, done) => done(failure()),
  Fill: (call, done) => done(null, Buffer.alloc(Number(call.request))),
  Count: (call) => {
    for (let number = 0; number < Number(call.request); number++) call.write(Buffer.from(`${number}`));
    call.end();
  },
  Repeat: (call) => {
    for (let number = 0; number < 3; number++) call.write(call.request);
    call.end();
  },
  Endless: (call) => call.write(call.request),
  Join: (call, done) => collected(call, (parts) => done(null, Buffer.from(parts.join(",")))),
  Gather: (call, done) => collected(call, (parts) => done(null, Buffer.concat(parts))),
  Echo: (call) => {
    call.on("data", (part) => call.write(part));
    call.on("end", () => call.end());
  },
};

function serve() {
  const server = new grpc.Server({ "grpc.max_receive_message_length": -1 });
  const { Nothing, ...known } = definition;
  server.addService(known, calls);
  server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => console.log(port));
}

const outcome = (error, value) => (error ? { code: error.code, details: error.details } : { value: `${value}` });

const unary = (client, name, message, options = {}) =>
  new Promise((done) => client[name](message, new grpc.Metadata(), options, (error, value) => done([error, value])));

function received(call, most = Infinity) {
  return new Promise((done) => {
    const parts = [];
    call.on("data", (part) => parts.push(`${part}`) === most && call.cancel());
    call.on("error", () => {});
    call.on("status", (status) => done({ parts, code: status.code }));
  });
}

// A message of tests.Note with the text as one of its `many`.
const note = (text) => Buffer.from([18, text.length, ...Buffer.from(text)]);

function sent(client, name, messages) {
  return new Promise((done) => {
    const call = client[name]((error, value) => done(outcome(error, value)));
    for (const message of messages) call.write(message);
    call.end();
  });
}

// Sends each message only once the answer to the one before has come.
function chat(client) {
  const call = client.Echo();
  const messages = ["one", "two", "three"].map(note);
  const all = received(call);
  call.on("data", () => (messages.length ? call.write(messages.shift()) : call.end()));
  call.write(messages.shift());
  return all;
}

async function call(port, keepalive) {
  const Client = grpc.makeGenericClientConstructor(definition, "test.Echo");
  const client = new Client(`localhost:${port}`, grpc.credentials.createInsecure(), {
    "grpc.max_receive_message_length": -1,
    "grpc.keepalive_time_ms": Number(keepalive),
  });
  const results = {};
  results.Unary = outcome(...(await unary(client, "Unary", note("hello"))));
  const [error] = await unary(client, "Fail", Buffer.from("milk"));
  results.Fail = { ...outcome(error), trailer: [...error.metadata.get("grpc-status-details-bin")[0]] };
  results.Fill = { length: (await unary(client, "Fill", Buffer.from(`${8 * 1024 * 1024}`)))[1].length };
  results.Nothing = outcome(...(await unary(client, "Nothing", Buffer.from("x"))));
  results.Count = await received(client.Count(Buffer.from("500")));
  results.Cancelled = await received(client.Endless(Buffer.from("first")), 1);
  results.Deadline = await received(client.Endless(Buffer.from("late"), { deadline: Date.now() + 1000 }));
  results.Repeat = await received(client.Repeat(note("again")));
  results.Join = await sent(client, "Join", Array.from({ length: 100 }, (_, number) => Buffer.from(`${number}`)));
  results.Gather = await sent(client, "Gather", ["one", "two"].map(note));
  results.Echo = await chat(client);
  results.many = (await Promise.all(Array.from({ length: 90 }, () => chat(client)))).map((each) => each.parts.join());
  client.close();
  console.log(JSON.stringify(results));
}

process.argv[3] === "serve" ? serve() : await call(...process.argv.slice(4));
