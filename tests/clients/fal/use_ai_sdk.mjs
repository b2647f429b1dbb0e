// Calls of the unmodified AI SDK with its fal provider. Prints one JSON object of findings.
import { createFal } from "@ai-sdk/fal";
import {
  experimental_generateVideo as generateVideo,
  experimental_getVideoStatus as getVideoStatus,
  experimental_startVideo as startVideo,
} from "ai";

globalThis.AI_SDK_LOG_WARNINGS = false;
const [gateway, key, poorKey, listed] = process.argv.slice(2);
const models = JSON.parse(listed);
const sdk = (apiKey) =>
  createFal({
    apiKey,
    fetch: async (url, init) => {
      const answer = await fetch(String(url).replace("https://queue.fal.run", `${gateway}/fal/queue`), init);
      return new Response((await answer.text()).replaceAll(`${gateway}/fal/queue`, "https://queue.fal.run"), answer);
    },
  });
const fal = sdk(key);
const image = "https://v3b.fal.media/files/b/x/rocket.jpg";
const text = "sandbox:no-video sandbox:seconds=0.2 the fal provider";
const quick = { duration: 4, maxRetries: 0, providerOptions: { fal: { resolution: "480p", loop: true } } };
const poll = { intervalMs: 200, timeoutMs: 300_000 };
// The SDK downloads from public addresses only; the sandbox is on this machine.
const download = async ({ url }) => {
  const answer = await fetch(url);
  return { data: new Uint8Array(await answer.arrayBuffer()), mediaType: answer.headers.get("content-type") };
};
const inputs = { "text-to-video": {}, "image-to-video": { image }, "reference-to-video": { references: [image] } };
const options = ({ id, kind }, prompt = text) => {
  const { image, references } = inputs[kind];
  return {
    model: fal.video(id),
    prompt: image ? { image, text: prompt } : prompt,
    ...quick,
    providerOptions: { fal: { ...quick.providerOptions.fal, ...(references && { image_urls: references }) } },
  };
};
const failure = async (call) => {
  try {
    return await call();
  } catch ({ name, message, statusCode }) {
    return { name, message, statusCode };
  }
};
const ended = async (model, operation) => {
  for (;;) {
    const found = await getVideoStatus(model, { operation, maxRetries: 0 });
    if (found.status !== "pending") return found;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
};
const generated = async (model) => {
  const { video, providerMetadata } = await generateVideo({ ...options(model), poll, download });
  return [model.id, Buffer.from(video.uint8Array.slice(4, 8)).toString(), providerMetadata.fal.videos.length];
};

const findings = { videos: await Promise.all(models.map(generated)) };
const [first] = models;

const hung = await startVideo(options(first, "sandbox:hang the fal provider"));
findings.pending = (await getVideoStatus(fal.video(first.id), { operation: hung.operation })).status;
const cancel = hung.operation.responseUrl.replace("https://queue.fal.run", `${gateway}/fal/queue`);
await fetch(`${cancel}/cancel`, { method: "PUT", headers: { authorization: `Key ${key}` } });
findings.canceled = (await ended(fal.video(first.id), hung.operation)).status;

const refused = await startVideo(options(first, `sandbox:policy ${text}`));
findings.failed = (await ended(fal.video(first.id), refused.operation)).status;
findings.budget = await failure(() => startVideo({ ...options(first), model: sdk(poorKey).video(first.id) }));
findings.invalid = await failure(() => startVideo({ ...options(first), duration: 99 }));
findings.unknown = await failure(() => startVideo({ ...options(first), model: fal.video("fal-ai/flux") }));

process.stdout.write(JSON.stringify(findings));
process.exit(0);
