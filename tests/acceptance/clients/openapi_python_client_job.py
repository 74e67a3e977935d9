"""The main job, done with a client that openapi-python-client made of the specification.

Arguments: the folder with the client, the credentials as JSON, the file to upload, and where to
put the file that is downloaded. What became of the job is printed as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from io import BytesIO
from pathlib import Path

folder, said, source, target = sys.argv[1:]
sys.path.insert(0, folder)
given = json.loads(said)

from generated import AuthenticatedClient, Client
from generated.api.batches import get_batch
from generated.api.data_access import get_file, list_batch_files
from generated.api.data_sets import create_data_set
from generated.api.export_jobs import (
    cancel_export_job,
    create_export_job,
    get_export_job,
    list_export_jobs,
)
from generated.api.ingestion import act_on_batch, open_batch, upload_file
from generated.api.merge_policies import create_merge_policy
from generated.api.schemas import register_schema
from generated.api.tokens import issue_token
from generated.models import (
    BatchStatus,
    ExportJobStatus,
    IdentityGraph,
    IdentityGraphType,
    MergePolicyRef,
    NewBatch,
    NewDataSet,
    NewDestination,
    NewExportJob,
    NewInputFormat,
    NewMergePolicy,
    NewSchema,
    Problem,
    SchemaName,
    SchemaNameName,
    SchemaRef,
    Tags,
    TokenRequest,
)
from generated.types import File

PROFILE = "https://ns.adobe.com/xdm/context/profile"

anyone = Client(base_url=given["base_url"])
asked = TokenRequest(client_id=given["client_id"], client_secret=given["client_secret"])
token = issue_token.sync(client=anyone, body=asked)
client = AuthenticatedClient(
    base_url=given["base_url"],
    token=token.access_token,
    headers={"x-api-key": given["client_id"], "x-gw-ims-org-id": given["org_id"]},
    raise_on_unexpected_status=True,
)


def data_set(name: str, schema_id: str, tags: dict[str, list[str]]) -> str:
    body = NewDataSet(name=name, schema_ref=SchemaRef(id=schema_id), tags=Tags.from_dict(tags))
    (reference,) = create_data_set.sync(client=client, body=body)
    return reference.removeprefix("@/dataSets/")


def until(ask, is_over):
    deadline = time.monotonic() + 180
    while not is_over(found := ask()):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    return found


document = {"title": "People", "allOf": [{"$ref": PROFILE}], "meta:immutableTags": ["union"]}
schema = register_schema.sync(client=client, body=NewSchema.from_dict(document))
people = data_set("people", schema.id, {"unifiedProfile": ["enabled:true"]})
exported = data_set("exported", f"{PROFILE}__union", {})

new = NewBatch(dataset_id=people, input_format=NewInputFormat(format_="json"))
batch = open_batch.sync(client=client, body=new)
content = File(payload=BytesIO(Path(source).read_bytes()))
upload_file.sync(batch.id, people, "day=1/people.json", client=client, body=content)
act_on_batch.sync(batch.id, client=client, action="COMPLETE")
loaded = until(
    lambda: get_batch.sync(batch.id, client=client)[batch.id],
    lambda found: found.status in {BatchStatus.SUCCESS, BatchStatus.FAILED},
)

policy = create_merge_policy.sync(
    client=client,
    body=NewMergePolicy(
        name="stitched", identity_graph=IdentityGraph(type_=IdentityGraphType.PDG), default=True
    ),
)
order = NewExportJob(
    destination=NewDestination(dataset_id=exported),
    schema=SchemaName(name=SchemaNameName.PROFILE),
    merge_policy=MergePolicyRef(id=policy.id),
)
job = create_export_job.sync(client=client, body=order)
done = until(
    lambda: get_export_job.sync(job.id, client=client),
    lambda found: found.status not in {ExportJobStatus.NEW, ExportJobStatus.PROCESSING},
)

other = create_export_job.sync(client=client, body=order)
cancelled = cancel_export_job.sync(other.id, client=client)
jobs = list_export_jobs.sync(client=client, limit=2)

files = list_batch_files.sync(done.destination.batch_id, client=client)
(described,) = get_file.sync(files.data[0].data_set_file_id, client=client).data
content = get_file.sync(
    files.data[0].data_set_file_id, client=client, path=described.name, range_="bytes=0-"
)
Path(target).write_bytes(content.payload.read())
refused = get_export_job.sync(10**15, client=client)
assert isinstance(refused, Problem)

print(
    json.dumps(
        {
            "batch": loaded.status,
            "job": done.status,
            "profiles": done.metrics.total_exported_profile_counter,
            "cancelled": cancelled.status,
            "listed": [each.status for each in jobs.records],
            "length": int(described.length),
            "refused": refused.report.code,
        }
    )
)
