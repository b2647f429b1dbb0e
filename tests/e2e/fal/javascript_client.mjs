// What the official JavaScript client does, unmodified; prints one JSON object of findings.
import { readFile } from "node:fs/promises";
import { createFalClient } from "@fal-ai/client";

const [gateway, credentials, photo] = process.argv.slice(2);
const endpoint = "bytedance/seedance-2.0/image-to-video";
const fal = createFalClient({ credentials, proxyUrl: { url: `${gateway}/fal/proxy`, when: "always" } });

const quick = {
  prompt: "sandbox:no-video sandbox:seconds=0.2 javascript",
  image_url: "https://v3b.fal.media/files/b/x/rocket.jpg",
  resolution: "480p",
  duration: "4",
  seed: 3,
};
const logging = { ...quick, prompt: "sandbox:no-video sandbox:logs sandbox:seconds=2 javascript" };
const hanging = { ...quick, prompt: "sandbox:hang javascript" };

async function failure(promise) {
  try {
    await promise;
  } catch (error) {
    return { name: error.name, status: error.status, body: error.body, requestId: error.requestId };
  }
  return {};
}

async function ended(requestId) {
  await fal.queue.subscribeToStatus(endpoint, { requestId, pollInterval: 100 });
  return fal.queue.result(endpoint, { requestId });
}

async function subscribed(mode) {
  const updates = [];
  const result = await fal.subscribe(endpoint, {
    input: logging,
    logs: true,
    mode,
    onQueueUpdate: (update) => updates.push(structuredClone(update)),
  });
  const lines = updates.at(-1).logs.map((line) => line.message);
  return { seed: result.data.seed, states: [...new Set(updates.map((update) => update.status))], lines };
}

const queued = await fal.queue.submit(endpoint, { input: quick, priority: "low", startTimeout: 600 });
const status = await fal.queue.status(endpoint, { requestId: queued.request_id, logs: true });
const result = await ended(queued.request_id);

const doomed = await fal.queue.submit(endpoint, { input: hanging });
const early = await failure(fal.queue.result(endpoint, { requestId: doomed.request_id }));
await fal.queue.cancel(endpoint, { requestId: doomed.request_id });

const refused = await fal.queue.submit(endpoint, {
  input: { ...quick, prompt: "sandbox:policy sandbox:seconds=0.2 javascript" },
});

const streamed = [];
const stream = await fal.stream(endpoint, { input: quick });
for await (const event of stream) streamed.push(event);

const file = new Blob([await readFile(photo)], { type: "image/jpeg" });
const uploaded = await fal.storage.upload(file);
const used = await fal.queue.submit(endpoint, { input: { ...quick, image_url: file } });
const untyped = await fal.storage.upload(new Blob([await readFile(photo)]));

console.log(
  JSON.stringify({
    queued,
    status,
    result,
    polling: await subscribed("polling"),
    streaming: await subscribed("streaming"),
    early,
    cancelled: await failure(ended(doomed.request_id)),
    policy: await failure(ended(refused.request_id)),
    invalid: await failure(fal.queue.submit(endpoint, { input: { prompt: "no picture" } })),
    unknown: await failure(fal.queue.status(endpoint, { requestId: "gen_00000000000000000000000000" })),
    other: await failure(fal.queue.submit("fal-ai/flux/dev", { input: { prompt: "another model" } })),
    run: await fal.run(endpoint, { input: quick }),
    streamed,
    done: await stream.done(),
    uploaded,
    untyped,
    used: used.request_id,
  }),
);
