// Uses the client that @hey-api/openapi-ts generated. The compiler checks each access. Prints JSON.

import { client } from "./hey/client.gen.js";
import { cancelGeneration, createGeneration, readGeneration, readUsage } from "./hey/index.js";

const [url, key] = process.argv.slice(2) as [string, string];
client.setConfig({ baseUrl: url, auth: key });
const found: Record<string, unknown> = {};
const wanted = { prompt: "sandbox:hang", image_url: "https://v3b.fal.media/a.jpg", resolution: "480p" } as const;

const created = await createGeneration({ body: wanted });
if (created.data) {
  const path = { generation_id: created.data.id };
  found.create = created.data.status;
  found.read = (await readGeneration({ path })).data?.id === created.data.id;
  found.cancel = (await cancelGeneration({ path })).response?.status;
}
found.usage = (await readUsage()).data?.currency;
const dear = (await createGeneration({ body: { ...wanted, max_cost_usd: "0.01" } })).error;
if (dear?.status === 402) found["402"] = [dear.code, dear.scope];
const unknown = (await readGeneration({ path: { generation_id: "gen_unknown" } })).error;
if (unknown?.status === 404) found["404"] = unknown.code;

console.log(JSON.stringify(found));
