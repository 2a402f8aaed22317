"""Webhooks through MLflow's own client: arguments are the server's address and the receiver's."""

import json
import sys

import mlflow
from mlflow import MlflowClient
from mlflow.entities.webhook import WebhookEvent, WebhookStatus
from mlflow.exceptions import MlflowException

server, receiver = sys.argv[1:]
mlflow.set_tracking_uri(server)
client = MlflowClient()

EVENTS = [
    "registered_model.created",
    "model_version.created",
    "model_version_tag.set",
    "model_version_tag.deleted",
    "model_version_alias.created",
    "model_version_alias.deleted",
    "prompt.created",
    "prompt_version.created",
]

hook = client.create_webhook(
    name="tell", url=f"{receiver}/first", events=["registered_model.created"], secret="a-secret"
)
assert hook.status == WebhookStatus.ACTIVE, hook
assert hook.secret is None, "a secret is shown"
assert [found.webhook_id for found in client.list_webhooks()] == [hook.webhook_id]
assert client.get_webhook(hook.webhook_id).url == f"{receiver}/first"

tested = client.test_webhook(hook.webhook_id, event="model_version.created")
assert tested.success and tested.response_status == 200, tested
assert tested.response_body == "taken", tested

hook = client.update_webhook(hook.webhook_id, url=f"{receiver}/all", description="all", events=EVENTS)
assert hook.description == "all" and len(hook.events) == len(EVENTS), hook
assert hook.events[0] == WebhookEvent("registered_model", "created"), hook.events

client.create_registered_model("told", tags={"team": "a"}, description="told of")
client.create_model_version("told", source="s3://bucket/model", tags={"made": "by"})
client.set_model_version_tag("told", "1", "stage", "tried")
client.delete_model_version_tag("told", "1", "stage")
client.set_registered_model_alias("told", "champion", "1")
client.delete_registered_model_alias("told", "champion")
mlflow.genai.register_prompt("greeting", template="Hello {{name}}!")

second = client.create_webhook(name="off", url=f"{receiver}/off", events=["registered_model.created"])
client.update_webhook(second.webhook_id, status="DISABLED")
assert client.get_webhook(second.webhook_id).status == WebhookStatus.DISABLED
client.create_registered_model("after")
client.delete_webhook(second.webhook_id)
try:
    client.get_webhook(second.webhook_id)
    raise AssertionError("a deleted webhook is there")
except MlflowException as error:
    assert error.error_code == "RESOURCE_DOES_NOT_EXIST", error

print(json.dumps({"webhook": hook.webhook_id}))
