// Walks through the TypeScript client of npm; prints what it was answered as JSON.
const { AirweaveSDKClient, AirweaveSDKError } = require("@airweave/sdk");

const [baseUrl, apiKey] = process.argv.slice(2);
const client = new AirweaveSDKClient({ apiKey, baseUrl });
const said = {};

async function refused(call) {
  try {
    await call;
  } catch (error) {
    if (error instanceof AirweaveSDKError) return error.statusCode;
    throw error;
  }
  return null;
}

async function over(connectionId, jobId) {
  for (let tries = 0; tries < 600; tries += 1) {
    const jobs = await client.sourceConnections.getSourceConnectionJobs(connectionId, {});
    const job = jobs.find((one) => one.id === jobId);
    if (["completed", "failed", "cancelled"].includes(job.status)) return job;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("the job did not end");
}

async function walk() {
  const { collections, sourceConnections, sources } = client;
  said.sources = (await sources.list()).map((one) => one.short_name);
  said.source = (await sources.get("stub")).short_name;
  const made = await collections.create({ name: "From TypeScript", readable_id: "from-typescript" });
  said.listed = (await collections.list({ search: "typescript" })).map((one) => one.id === made.id);
  said.status = (await collections.get("from-typescript")).status;
  const connection = await sourceConnections.create({
    short_name: "stub",
    readable_collection_id: "from-typescript",
    authentication: { credentials: { stub_key: "stub" } },
    config: { entity_count: 8 },
  });
  said.first = await over(connection.id, connection.sync.last_job.id);
  const run = await sourceConnections.run(connection.id, { force_full_sync: true });
  said.second = await over(connection.id, run.id);
  said.conflict = await refused(sourceConnections.cancelJob(connection.id, run.id));
  const [again] = await collections.refreshAllSourceConnections("from-typescript");
  said.refreshed = (await over(connection.id, again.id)).status;
  said.connections = (await sourceConnections.list({ collection: "from-typescript" })).length;
  said.renamed = (await sourceConnections.update(connection.id, { name: "Renamed there" })).name;
  said.entities = (await sourceConnections.get(connection.id)).entities.total_entities;
  said.found = await collections.search("from-typescript", { query: "the", retrieval_strategy: "neural", limit: 3 });
  said.filtered = await collections.search("from-typescript", {
    query: "the",
    filter: { must: [{ key: "source_name", match: { value: "nowhere" } }] },
  });
  said.legacy = await collections.searchGetLegacy("from-typescript", { query: "the", response_type: "raw", limit: 2 });
  said.missing = await refused(collections.get("nothing-here"));
  said.invalid = await refused(collections.create({ name: "abc" }));
  said.removed = (await sourceConnections.delete(connection.id)).id === connection.id;
  said.dropped = (await collections.delete("from-typescript")).id === made.id;
}

walk().then(() => process.stdout.write(JSON.stringify(said)));
