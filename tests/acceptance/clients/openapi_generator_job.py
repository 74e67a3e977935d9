"""The main job, done with a Python client that openapi-generator made of the specification.

Arguments: the folder with the client, the credentials as JSON, the file to upload, and where to
put the file that is downloaded. What became of the job is printed as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

folder, said, source, target = sys.argv[1:]
sys.path.insert(0, folder)
given = json.loads(said)

import generated
from generated.exceptions import NotFoundException

PROFILE = "https://ns.adobe.com/xdm/context/profile"

configuration = generated.Configuration(
    host=given["base_url"],
    api_key={"apiKey": given["client_id"], "organisation": given["org_id"]},
)
client = generated.ApiClient(configuration)
token = generated.TokensApi(client).issue_token(
    client_id=given["client_id"], client_secret=given["client_secret"]
)
configuration.access_token = token.access_token


def data_set(name: str, schema_id: str, tags: dict[str, list[str]]) -> str:
    reference = generated.SchemaRef(id=schema_id)
    body = generated.NewDataSet(name=name, schemaRef=reference, tags=tags)
    (made,) = generated.DataSetsApi(client).create_data_set(body)
    return made.removeprefix("@/dataSets/")


def until(ask, is_over):
    deadline = time.monotonic() + 180
    while not is_over(found := ask()):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    return found


document = {"title": "People", "allOf": [{"$ref": PROFILE}], "meta:immutableTags": ["union"]}
schema = generated.SchemasApi(client).register_schema(generated.NewSchema.from_dict(document))
people = data_set("people", schema.id, {"unifiedProfile": ["enabled:true"]})
exported = data_set("exported", f"{PROFILE}__union", {})

ingestion, batches = generated.IngestionApi(client), generated.BatchesApi(client)
json_files = generated.NewInputFormat(format="json")
batch = ingestion.open_batch(generated.NewBatch(datasetId=people, inputFormat=json_files))
ingestion.upload_file(batch.id, people, "day=1/people.json", Path(source).read_bytes())
ingestion.act_on_batch("COMPLETE", batch.id)
loaded = until(
    lambda: batches.get_batch(batch.id)[batch.id],
    lambda found: found.status in {"success", "failed"},
)

policy = generated.MergePoliciesApi(client).create_merge_policy(
    generated.NewMergePolicy(
        name="stitched",
        identityGraph=generated.IdentityGraph(type="pdg"),
        default=generated.Flag(True),
    )
)
jobs = generated.ExportJobsApi(client)
order = generated.NewExportJob(
    destination=generated.NewDestination(datasetId=exported),
    schema=generated.SchemaName(name="_xdm.context.profile"),
    mergePolicy=generated.MergePolicyRef(id=policy.id),
)
job = jobs.create_export_job(order)
done = until(
    lambda: jobs.get_export_job(job.id),
    lambda found: found.status not in {"NEW", "PROCESSING"},
)

other = jobs.create_export_job(order)
cancelled = jobs.cancel_export_job(other.id)
listed = jobs.list_export_jobs(limit=2)

access = generated.DataAccessApi(client)
files = access.list_batch_files(done.destination.batch_id)
file_id = files.data[0].data_set_file_id
(described,) = access.get_file(file_id).data
content = access.get_file(file_id, path=described.name, range="bytes=0-")
Path(target).write_bytes(content)
try:
    jobs.get_export_job(10**15)
except NotFoundException as refused:
    code = json.loads(refused.body)["report"]["code"]

print(
    json.dumps(
        {
            "batch": loaded.status,
            "job": done.status,
            "profiles": done.metrics.total_exported_profile_counter,
            "cancelled": cancelled.status,
            "listed": [each.status for each in listed.records],
            "length": int(described.length),
            "refused": code,
        }
    )
)
