"""Large artifacts with MLflow's client, whose parts go straight to S3: logged, registered, awaited until READY, and read back."""

import hashlib
import json
import os
import sys
import tempfile

URI, NAME = sys.argv[1:]
os.environ["MLFLOW_TRACKING_URI"] = URI
os.environ["GIT_PYTHON_REFRESH"] = "quiet"
os.environ["MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD"] = "true"
os.environ["MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE"] = "4000000"

import mlflow
from mlflow import MlflowClient

client = MlflowClient()
FOLDER = tempfile.mkdtemp()


def file_of(name, size):
    path = os.path.join(FOLDER, name)
    data = os.urandom(size)
    with open(path, "wb") as f:
        f.write(data)
    return path, data


def refused(call):
    try:
        call()
    except Exception as error:
        return str(error)
    raise AssertionError("it was not refused")


run = client.create_run("0").info.run_id
large, data = file_of("large.bin", 75_000_001)
one, _ = file_of("one.bin", 5_000_000)
client.log_artifact(run, large, "model")
client.log_artifact(run, one, "model")
client.log_text(run, "small", "model/small.txt")
client.create_registered_model(NAME)
created = client._get_registry_client().store.create_model_version(NAME, f"runs:/{run}/model", run)
at_once = created.status
client._get_registry_client().store._await_model_version_creation(created, 120)
version = client.get_model_version(NAME, "1")
second = client.create_model_version(NAME, f"runs:/{run}/model", run, await_creation_for=120)
with tempfile.TemporaryDirectory() as target:
    path = mlflow.artifacts.download_artifacts(f"models:/{NAME}/1", dst_path=target)
    with open(os.path.join(path, "large.bin"), "rb") as f:
        same = hashlib.sha256(f.read()).digest() == hashlib.sha256(data).digest()

os.environ["MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE"] = "1000000"
too_small = refused(lambda: client.log_artifact(run, one, "chunks"))
print(
    json.dumps(
        {
            "at_once": at_once,
            "status": version.status,
            "second": client.get_model_version(NAME, second.version).status,
            "same": same,
            "too_small": too_small,
            "left": [f.path for f in client.list_artifacts(run, "chunks")],
        }
    )
)
