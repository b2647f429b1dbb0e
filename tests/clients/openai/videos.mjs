// A program with OpenAI's SDK: prints what it found as JSON. The variables are those of videos.py.
import fs from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import OpenAI from "openai";

const { BASE, KEY, POOR_KEY, CUT_BASE, PHOTO, PHOTO_URL } = process.env;
const SMALL = { seconds: "4", size: "854x480" };
const client = new OpenAI({ baseURL: BASE, apiKey: KEY });
const reference = { image_url: PHOTO_URL };
const found = {};

async function refused(from, fields) {
  try {
    await from.videos.create({ prompt: "a rocket", ...fields });
    return ["accepted"];
  } catch (error) {
    return [error.constructor.name, error.status, error.code, error.param];
  }
}

async function ended(id) {
  for (;;) {
    const video = await client.videos.retrieve(id);
    if (["completed", "failed"].includes(video.status)) return video;
    await sleep(200);
  }
}

async function listed(query) {
  const ids = [];
  for await (const video of client.videos.list(query)) ids.push(video);
  return ids;
}

const made = await client.videos.create({ prompt: "The rocket lifts off.", input_reference: fs.createReadStream(PHOTO), ...SMALL });
const video = await ended(made.id);
const content = Buffer.from(await (await client.videos.downloadContent(video.id)).arrayBuffer());
found.file = [video.status, video.seconds, video.size, video.progress, content.subarray(4, 8).toString()];

const extra = { metadata: { order: "1" }, generate_audio: false, end_user_id: "customer-7" };
const byUrl = await client.videos.create({ prompt: "sandbox:no-video", input_reference: reference, ...SMALL, ...extra });
found.url = [(await ended(byUrl.id)).status, byUrl.id];
found.list = (await listed({ limit: 1 })).slice(0, 2).map((one) => one.id).join() === [byUrl.id, video.id].join();
found.ascending = (await listed({ limit: 1, order: "asc" })).slice(-2).map((one) => one.id).join() === [video.id, byUrl.id].join();

const failed = await ended((await client.videos.create({ prompt: "sandbox:policy", input_reference: reference, ...SMALL })).id);
found.failed = [failed.status, failed.error?.code];
const running = await client.videos.create({ prompt: "sandbox:hang", input_reference: reference, ...SMALL });
found.deleted = (await client.videos.delete(running.id)).deleted;
const canceled = await ended(running.id);
found.canceled = [canceled.status, canceled.error?.code];
found["deleted twice"] = (await client.videos.delete(running.id)).deleted;

found.budget = await refused(new OpenAI({ baseURL: BASE, apiKey: POOR_KEY }), { input_reference: reference });
found.model = await refused(client, { model: "sora-2" });
found["no image"] = await refused(client, {});
found.seconds = await refused(client, { input_reference: reference, seconds: "99" });
found.unknown = await refused(client, { input_reference: reference, promt: "x" });
found.key = await refused(new OpenAI({ baseURL: BASE, apiKey: "sgk_wrong" }), {});

const cut = new OpenAI({ baseURL: CUT_BASE, apiKey: KEY });
const again = await cut.videos.create({ prompt: "sandbox:no-video again", input_reference: reference, ...SMALL });
found.cut = [again.id, (await listed({})).filter((one) => one.prompt === "sandbox:no-video again").length];
console.log(JSON.stringify(found));
