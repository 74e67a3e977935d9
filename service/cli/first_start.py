"""What ``serve`` and ``credentials`` see to before anything else: that somebody can call."""

from __future__ import annotations

from catalog.access import ALL
from catalog.organisations import Client, ClientId, OrganisationId
from service.assembly import Deployment
from service.cli.data_dir import DataDir, OperatorClient
from service.operations.first_start import FirstStart


async def welcome(deployed: Deployment, folder: DataDir) -> OperatorClient:
    """Make the organisation, its sandbox and the operator's client, unless they are there.

    The file comes before the row: a start that is killed between them ends in the same client.
    """
    settings = deployed.settings.organisation
    operator = folder.client_or_fresh(settings.id)
    await FirstStart(deployed.database).welcome(
        client_of(operator), operator.client_secret, organisation_name=settings.name
    )
    return operator


def client_of(operator: OperatorClient) -> Client:
    return Client(
        id=ClientId(operator.client_id),
        organisation_id=OrganisationId(operator.org_id),
        name="operator",
        scopes=ALL,
    )
