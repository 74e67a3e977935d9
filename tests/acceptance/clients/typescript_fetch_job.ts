// The main job, done with a TypeScript client that openapi-generator made of the specification.
//
// Arguments: the credentials as JSON, the file to upload, and where to put the file that is
// downloaded. What became of the job is printed as JSON.

import { readFileSync, writeFileSync } from "node:fs";

import * as generated from "./generated/index";

const PROFILE = "https://ns.adobe.com/xdm/context/profile";
const [said, source, target] = process.argv.slice(2) as [string, string, string];
const given = JSON.parse(said) as Record<
  "base_url" | "client_id" | "client_secret" | "org_id",
  string
>;

async function until<T>(ask: () => Promise<T>, isOver: (found: T) => boolean): Promise<T> {
  const deadline = Date.now() + 120_000;
  for (;;) {
    const found = await ask();
    if (isOver(found)) return found;
    if (Date.now() > deadline) throw new Error(JSON.stringify(found));
    await new Promise((wake) => setTimeout(wake, 100));
  }
}

async function main(): Promise<void> {
  const anyone = new generated.Configuration({ basePath: given.base_url });
  const token = await new generated.TokensApi(anyone).issueToken({
    clientId: given.client_id,
    clientSecret: given.client_secret,
  });
  const keys: Record<string, string> = {
    "x-api-key": given.client_id,
    "x-gw-ims-org-id": given.org_id,
  };
  const configuration = new generated.Configuration({
    basePath: given.base_url,
    accessToken: token.accessToken,
    apiKey: (name: string) => keys[name] ?? "",
  });

  const dataSets = new generated.DataSetsApi(configuration);
  async function dataSet(name: string, schemaId: string, tags: Record<string, string[]>) {
    const [reference] = await dataSets.createDataSet({
      newDataSet: { name, schemaRef: { id: schemaId }, tags },
    });
    return reference!.replace("@/dataSets/", "");
  }
  const schema = await new generated.SchemasApi(configuration).registerSchema({
    newSchema: { title: "People", allOf: [{ $ref: PROFILE }], metaImmutableTags: ["union"] },
  });
  const people = await dataSet("people", schema.$id, { unifiedProfile: ["enabled:true"] });
  const exported = await dataSet("exported", `${PROFILE}__union`, {});

  const ingestion = new generated.IngestionApi(configuration);
  const batches = new generated.BatchesApi(configuration);
  const batch = await ingestion.openBatch({
    newBatch: { datasetId: people, inputFormat: { format: "json" } },
  });
  const body = new Blob([readFileSync(source)]);
  await ingestion.uploadFile({
    batchId: batch.id,
    dataSetId: people,
    path: "day=1/people.json",
    body,
  });
  await ingestion.actOnBatch({ batchId: batch.id, action: "COMPLETE" });
  const loaded = await until(
    async () => (await batches.getBatch({ batchId: batch.id }))[batch.id]!,
    (found) => found.status === "success" || found.status === "failed",
  );

  const policy = await new generated.MergePoliciesApi(configuration).createMergePolicy({
    newMergePolicy: { name: "stitched", identityGraph: { type: "pdg" }, _default: true },
  });
  const jobs = new generated.ExportJobsApi(configuration);
  const newExportJob: generated.NewExportJob = {
    destination: { datasetId: exported },
    schema: { name: "_xdm.context.profile" },
    mergePolicy: { id: policy.id },
  };
  const job = await jobs.createExportJob({ newExportJob });
  const done = await until(
    () => jobs.getExportJob({ jobId: job.id }),
    (found) => found.status !== "NEW" && found.status !== "PROCESSING",
  );

  const other = await jobs.createExportJob({ newExportJob });
  const cancelled = await jobs.cancelExportJob({ jobId: other.id });
  const listed = await jobs.listExportJobs({ limit: 2 });

  const access = new generated.DataAccessApi(configuration);
  const files = await access.listBatchFiles({ batchId: done.destination.batchId });
  const fileId = files.data[0]!.dataSetFileId;
  const description = await access.getFile({ fileId });
  const [described] = generated.FileDescriptionFromJSON(JSON.parse(await description.text())).data;
  const content = await access.getFile({ fileId, path: described!.name });
  writeFileSync(target, Buffer.from(await content.arrayBuffer()));
  const refused = await jobs.getExportJob({ jobId: 1e15 }).then(
    () => undefined,
    (error: generated.ResponseError) => error.response.json() as Promise<generated.Problem>,
  );

  console.log(
    JSON.stringify({
      batch: loaded.status,
      job: done.status,
      profiles: done.metrics.totalExportedProfileCounter,
      cancelled: cancelled.status,
      listed: listed.records.map((each) => each.status),
      length: Number(described!.length),
      refused: refused?.report.code,
    }),
  );
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
