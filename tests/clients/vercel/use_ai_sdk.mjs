// Calls of the unmodified AI SDK with its gateway provider. Prints one JSON object of findings.
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { createGateway } from "@ai-sdk/gateway";
import {
  experimental_generateVideo as generateVideo,
  experimental_getVideoStatus as getVideoStatus,
  experimental_startVideo as startVideo,
} from "ai";

globalThis.AI_SDK_LOG_WARNINGS = false;
const [base, key, poorKey, photo] = process.argv.slice(2);
const baseURL = `${base}/vercel`;
const gateway = createGateway({ baseURL, apiKey: key });
const image = await readFile(photo);
const text = "sandbox:no-video sandbox:seconds=0.2 the AI SDK";
const quick = { resolution: "864x480", duration: 4, seed: 3, fps: 30, maxRetries: 1 };
const poll = { intervalMs: 200, timeoutMs: 300_000 };
// The SDK downloads from public addresses only; the sandbox is on this machine.
const download = async ({ url }) => {
  const answer = await fetch(url);
  return { data: new Uint8Array(await answer.arrayBuffer()), mediaType: answer.headers.get("content-type") };
};

const v1 = async (path, init) => {
  const answer = await fetch(`${base}/v1${path}`, { ...init, headers: { authorization: `Bearer ${key}` } });
  return await answer.json();
};
const created = async () => (await v1("/generations?limit=100")).data.map((generation) => generation.id);
const bytes = (video) => Buffer.from(video.uint8Array.slice(4, 8)).toString();
const failure = async (call) => {
  try {
    await call();
    return "no error";
  } catch (error) {
    const { name, type, statusCode, ruleId, modelId, message } = error;
    return { name, type, statusCode, ruleId, modelId, message };
  }
};
const ended = async (model, operation) => {
  for (;;) {
    const found = await getVideoStatus(model, { operation });
    if (found.status !== "pending") return found;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
};
/** A gateway whose first response to a call is lost after it was sent. */
const losing = (part) => {
  let lost = 0;
  return createGateway({
    baseURL,
    apiKey: key,
    fetch: async (url, init) => {
      const answer = await fetch(url, init);
      if (String(url).endsWith(part) && lost++ === 0) {
        await answer.body.cancel();
        throw new TypeError("fetch failed", { cause: Object.assign(new Error("reset"), { code: "ECONNRESET" }) });
      }
      return answer;
    },
  });
};

const family = gateway.video("bytedance/seedance-2.0");
const findings = {};

findings.models = (await gateway.getAvailableModels()).models.map(({ id, modelType }) => [id, modelType]);

const polled = await generateVideo({ model: family, prompt: { image, text }, ...quick, poll, download });
findings.polled = { bytes: bytes(polled.video), warnings: polled.warnings, metadata: polled.providerMetadata };

const once = await generateVideo({ model: family, prompt: text, ...quick, download });
findings.once = { bytes: bytes(once.video), warnings: once.warnings, metadata: once.providerMetadata };

const hook = createServer();
await new Promise((resolve) => hook.listen(0, "127.0.0.1", resolve));
const received = new Promise((resolve) =>
  hook.on("request", (request, response) => {
    let body = "";
    request.on("data", (part) => (body += part));
    request.on("end", () => (response.end(), resolve({ body: JSON.parse(body), headers: request.headers })));
  }),
);
const url = `http://127.0.0.1:${hook.address().port}/`;
const notified = await generateVideo({
  model: family, prompt: text, ...quick, webhook: async () => ({ url, received }), poll, download,
});
findings.webhook = [bytes(notified.video), (await received).body.type];
hook.close();

const hung = await startVideo({ model: family, prompt: "sandbox:hang the AI SDK", ...quick });
findings.pending = (await getVideoStatus(family, { operation: hung.operation })).status;
await v1(`/generations/${hung.operation.id}/cancel`, { method: "POST" });
findings.canceled = await ended(family, hung.operation);

const refused = await startVideo({ model: family, prompt: `sandbox:policy ${text}`, ...quick });
findings.failed = await ended(family, refused.operation);
findings.failedOnce = await failure(() => generateVideo({ model: family, prompt: `sandbox:policy ${text}`, ...quick }));

const poor = createGateway({ baseURL, apiKey: poorKey }).video("bytedance/seedance-2.0");
findings.budget = await failure(() => startVideo({ model: poor, prompt: text, ...quick }));
findings.foreign = await failure(() => getVideoStatus(poor, { operation: hung.operation }));
findings.unknown = await failure(() => startVideo({ model: gateway.video("other/model"), prompt: text, ...quick }));
findings.invalid = await failure(() => startVideo({ model: family, prompt: text, ...quick, duration: 99 }));
findings.several = await failure(() => startVideo({ model: family, prompt: text, ...quick, n: 2 }));
const wrong = createGateway({ baseURL, apiKey: "sgk_wrong" }).video("bytedance/seedance-2.0");
findings.key = await failure(() => startVideo({ model: wrong, prompt: text, ...quick }));

let before = await created();
const again = await startVideo({ model: losing("/start").video("bytedance/seedance-2.0"), prompt: text, ...quick });
findings.startLost = [again.operation.id, ...(await created()).filter((id) => !before.includes(id))];

before = await created();
const repeated = { model: losing("/video-model").video("bytedance/seedance-2.0"), prompt: `${text} again`, ...quick };
const once2 = await generateVideo({ ...repeated, download });
const fresh = (await created()).filter((id) => !before.includes(id));
findings.onceLost = [once2.providerMetadata.gateway.generationId, ...fresh];

process.stdout.write(JSON.stringify(findings));
process.exit(0);
