// What a client in JavaScript does with a server of examples/langgraph_project, whose URL it gets.
import assert from "node:assert/strict";
import { Client } from "@langchain/langgraph-sdk";

const client = new Client({ apiUrl: process.argv[2] });
const { assistants, runs, threads } = client;
const input = { messages: [{ role: "user", content: "hi" }] };

async function collect(stream) {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return parts;
}

async function waits() {
  const { thread_id } = await threads.create({ metadata: { a: 1 } });
  const values = await runs.wait(thread_id, "assistant", { input });
  assert.match(values.messages.at(-1).content, /heard: hi/);
  assert.equal((await threads.search({ metadata: { a: 1 } })).length, 1);
  await threads.update(thread_id, { metadata: { b: 2 } });
  assert.deepEqual((await threads.get(thread_id)).metadata.b, 2);
  await threads.copy(thread_id);
  assert.equal(await threads.count(), 2);
}

async function streamsAndComesBack() {
  const { thread_id } = await threads.create();
  let created;
  const parts = await collect(
    runs.stream(thread_id, "assistant", {
      input,
      streamMode: ["values", "messages-tuple", "updates"],
      streamResumable: true,
      onRunCreated: (run) => (created = run),
    }),
  );
  assert.equal(parts[0].event, "metadata");
  assert.equal(parts[0].data.run_id, created.run_id);
  assert.equal(created.thread_id, thread_id);
  const rest = await collect(runs.joinStream(thread_id, created.run_id, { lastEventId: "2" }));
  assert.deepEqual(rest, parts.slice(2));
  const some = await collect(
    runs.joinStream(thread_id, created.run_id, { lastEventId: "-1", streamMode: ["updates"] }),
  );
  assert.deepEqual(some.map((part) => part.event), ["metadata", "updates", "end"]);
  await runs.delete(thread_id, created.run_id);
}

async function asksAHuman() {
  const { thread_id } = await threads.create();
  const asked = await runs.wait(thread_id, "approval", { input: { text: "Dear" } });
  assert.equal(asked.__interrupt__[0].value.draft, "Dear");
  assert.equal((await threads.get(thread_id)).status, "interrupted");
  const sent = await runs.wait(thread_id, "approval", { command: { resume: "yes" } });
  assert.equal(sent.sent, true);
  assert.deepEqual((await threads.getState(thread_id)).next, []);
  await threads.updateState(thread_id, { values: { sent: false }, asNode: "ask" });
  assert.equal((await threads.getState(thread_id)).values.sent, false);
  assert.equal((await threads.getHistory(thread_id, { limit: 2 })).length, 2);
}

async function cancels() {
  const { thread_id } = await threads.create();
  const run = await runs.create(thread_id, "writer", { input: { pages: [] } });
  assert.equal((await runs.list(thread_id)).length, 1);
  await runs.cancel(thread_id, run.run_id, true);
  assert.equal((await runs.get(thread_id, run.run_id)).status, "interrupted");
  assert.equal((await threads.get(thread_id)).status, "idle");
  await threads.delete(thread_id);
  await assert.rejects(threads.get(thread_id), /404/);
}

async function looksAround() {
  assert.equal((await assistants.search()).length, 3);
  assert.ok((await assistants.getGraph("approval")).nodes.length);
  assert.ok((await assistants.getSchemas("approval")).input_schema);
  assert.equal((await runs.createBatch([{ assistantId: "assistant", input }])).length, 1);
  await assert.rejects(runs.wait(null, "nobody", {}), /422/);
}

for (const story of [waits, streamsAndComesBack, asksAHuman, cancels, looksAround]) await story();
