// Asks workerd what its TextDecoder, its URL and its Headers make of many inputs.
//
//   node oracle.mjs --modules DIR < questions.json > answers.json
//
// DIR holds node_modules/miniflare. Bytes are base64 in the questions.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { parseArgs } from "node:util";

const { values: args } = parseArgs({ options: { modules: { type: "string" } } });
const { Miniflare } = createRequire(path.resolve(args.modules) + "/")("miniflare");

const script = `
  const bytes = (base64) => Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
  const text = (base64) => new TextDecoder().decode(bytes(base64));
  const pathname = (base64) => new URL("http://h" + new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes(base64))).pathname;
  const headers = (pairs) => JSON.stringify(Object.fromEntries(new Headers(pairs)));
  export default {
    async fetch(request) {
      const asked = await request.json();
      return Response.json({
        texts: asked.texts.map(text),
        targets: asked.targets.map(pathname),
        headers: asked.headers.map(headers),
      });
    },
  };
`;
const worker = new Miniflare({ modules: true, script, compatibilityDate: "2025-09-01" });
try {
  const response = await worker.dispatchFetch("http://oracle/", { method: "POST", body: readFileSync(0) });
  process.stdout.write(await response.text());
} finally {
  await worker.dispose();
}
