// Uses openapi-fetch with the types of openapi-typescript. The compiler checks each access. Prints JSON.

import { readFileSync } from "node:fs";
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

const [url, key, picture] = process.argv.slice(2) as [string, string, string];
const client = createClient<paths>({ baseUrl: url, headers: { authorization: `Bearer ${key}` } });
const found: Record<string, unknown> = {};

function some<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("no body of this type");
  return value;
}

type Wanted = components["schemas"]["CreateGeneration"];

const image = await client.POST("/v1/uploads", {
  body: readFileSync(picture) as unknown as string,
  bodySerializer: (body) => body as unknown as BodyInit,
  headers: { "content-type": "application/octet-stream" },
});
found.upload = [some(image.data).content_type, some(image.data).width];

function wanted(prompt: string, changes: Partial<Wanted> = {}): Wanted {
  return { prompt, image_url: some(image.data).url, resolution: "480p", duration: "4", ...changes };
}

const created = some((await client.POST("/v1/generations", { body: wanted("sandbox:no-video") })).data);
const id = { generation_id: created.id };
found.create = [created.status, !Number.isNaN(Date.parse(created.created_at))];

let read = created;
for (const giveUp = Date.now() + 240_000; read.finished_at === null && Date.now() < giveUp; ) {
  read = some((await client.GET("/v1/generations/{generation_id}", { params: { path: id, query: { wait: 5 } } })).data);
}
found.read = [read.status, some(read.output?.video.url).startsWith("http")];

const page = await client.GET("/v1/generations", { params: { query: { limit: 100, status: "succeeded" } } });
found.list = some(page.data).data.some((generation) => generation.id === created.id);

const events = await client.GET("/v1/generations/{generation_id}/events", { params: { path: id }, parseAs: "text" });
found.events = some(events.data).split("\n").filter((line) => line.startsWith("event: "));

const endless = some((await client.POST("/v1/generations", { body: wanted("sandbox:hang") })).data);
const path = { generation_id: endless.id };
found.cancel = (await client.POST("/v1/generations/{generation_id}/cancel", { params: { path } })).response.status;

const endpoint = await client.POST("/v1/webhook-endpoints", {
  body: { url: "http://127.0.0.1:9000/hook" },
});
found.endpoint = [some(endpoint.data).enabled, some(endpoint.data).secret.startsWith("whsec_")];

const usage = some((await client.GET("/v1/usage")).data);
if (typeof usage !== "string") found.usage = [usage.currency, usage.days.at(-1)?.date === usage.end]; // else CSV

const dear = (await client.POST("/v1/generations", { body: wanted("too dear", { max_cost_usd: "0.01" }) })).error;
if (dear?.status === 402) found["402"] = [dear.code, dear.scope, dear.limit];
const nowhere = { params: { path: { generation_id: "gen_unknown" } } };
const unknown = (await client.GET("/v1/generations/{generation_id}", nowhere)).error;
if (unknown?.status === 404) found["404"] = unknown.code;
const invalid = (await client.POST("/v1/generations", { body: wanted("", { priority: 10 }) })).error;
if (invalid?.status === 422) found["422"] = [invalid.code, invalid.errors?.map((fault) => fault.pointer).sort()];

console.log(JSON.stringify(found));
