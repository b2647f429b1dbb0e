// Calls of the unmodified @fal-ai/client for every model. Prints one JSON object of findings.
import { createFalClient } from "@fal-ai/client";

const [gateway, key, poorKey, listed] = process.argv.slice(2);
const models = JSON.parse(listed);
const client = (credentials) =>
  createFalClient({ credentials, proxyUrl: { url: `${gateway}/fal/proxy`, when: "always" }, retry: { maxRetries: 0 } });
const fal = client(key);
const image = "https://v3b.fal.media/files/b/x/rocket.jpg";
const text = "sandbox:no-video sandbox:seconds=0.2 the client in JavaScript";
const fields = { "text-to-video": {}, "image-to-video": { image_url: image }, "reference-to-video": { image_urls: [image] } };
const input = ({ kind }, prompt = text) => ({ prompt, resolution: "480p", duration: "4", ...fields[kind] });
const failure = async (call) => {
  try {
    return await call();
  } catch ({ name, status }) {
    return [name, status];
  }
};
const downloaded = async (model) => {
  const { data, requestId } = await fal.subscribe(model.id, { input: input(model), pollInterval: 200 });
  const bytes = new Uint8Array(await (await fetch(data.video.url)).arrayBuffer());
  return [model.id, Buffer.from(bytes.slice(4, 8)).toString(), requestId.startsWith("gen_")];
};

const findings = { videos: await Promise.all(models.map(downloaded)) };
const [first] = models;

const hung = await fal.queue.submit(first.id, { input: input(first, "sandbox:hang the client in JavaScript") });
await fal.queue.cancel(first.id, { requestId: hung.request_id });
await fal.queue.subscribeToStatus(first.id, { requestId: hung.request_id, pollInterval: 200 });
findings.canceled = await failure(() => fal.queue.result(first.id, { requestId: hung.request_id }));

const refused = await fal.queue.submit(first.id, { input: input(first, `sandbox:policy ${text}`) });
await fal.queue.subscribeToStatus(first.id, { requestId: refused.request_id, pollInterval: 200 });
findings.failed = await failure(() => fal.queue.result(first.id, { requestId: refused.request_id }));
findings.budget = await failure(() => client(poorKey).queue.submit(first.id, { input: input(first) }));

process.stdout.write(JSON.stringify(findings));
process.exit(0);
