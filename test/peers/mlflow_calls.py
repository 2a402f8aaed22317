"""Calls of MLflow's REST API and what was answered, one JSON line each, with ids and times replaced: the same for every server."""

import json
import os
import re
import sys

import requests

URI = sys.argv[1]
SESSION = requests.Session()
if TOKEN := os.environ.get("MLFLOW_TRACKING_TOKEN"):
    SESSION.headers["Authorization"] = f"Bearer {TOKEN}"

IDS = {}
TIMES = re.compile(r"(timestamp|_time|_time_ms|timestamp_ms)$")
# What Cairn tells and MLflow's own server leaves out, and the other way round.
LEFT_OUT = {"workspace"}


def named(name, value):
    """From now on this id is shown by its name."""
    IDS[value] = f"<{name}>"
    return value


def shown(value, key=""):
    if key == "model_version":
        value = {k: v for k, v in value.items() if k != "user_id"}
    if isinstance(value, dict):
        version = "current_stage" in value
        return {
            k: shown(v, k)
            for k, v in sorted(value.items())
            if k not in LEFT_OUT and not (version and k in ("user_id", "aliases") and key != "model_version")
        }
    if isinstance(value, list):
        items = [shown(v, key if key == "experiment_ids" else "") for v in value]
        return sorted(items, key=json.dumps) if key in UNORDERED else items
    if TIMES.search(key) and isinstance(value, int) and value > 1_600_000_000_000:
        return "<time>"
    if isinstance(value, str):
        if value.startswith('[{"name"'):
            value = json.dumps(json.loads(value))
        value = re.sub(rf"^(mlflow-artifacts:/|(?:DELETE artifacts/)?)\d+/", r"\1<experiment>/", value)
        value = re.sub(r"mlflow-artifacts:/\d+", "mlflow-artifacts:/<experiment>", value)
        for known, name in IDS.items():
            value = value.replace(known, name) if len(known) > 8 else name if value == known and "experiment" in key else value
    return value


UNORDERED = {"tags", "aliases", "metrics", "params", "latest_versions", "model_outputs", "dataset_inputs"}


def call(method, where, body=None, *, show=True, api="2.0/mlflow", **query):
    """Sends one call. What is shown: the status and body, of an error its code."""
    url = f"{URI}/api/{api}/{where}"
    response = SESSION.request(method, url, json=body, params=query or None, allow_redirects=False)
    try:
        answer = response.json()
    except ValueError:
        answer = {"text": response.text}
    if show:
        what = {"call": shown(f"{method} {where}"), "sent": shown(body or query), "status": response.status_code}
        if response.status_code >= 400:
            what["error"] = answer.get("error_code")
        else:
            what["body"] = shown(answer)
        print(json.dumps(what, sort_keys=True))
    return answer


def get(where, **query):
    return call("GET", where, **query)


def post(where, **body):
    return call("POST", where, body)


def patch(where, **body):
    return call("PATCH", where, body)


def delete(where, **body):
    return call("DELETE", where, body)


def tag(key, value):
    return {"key": key, "value": value}


# Registered models
post("registered-models/create", name="first", tags=[tag("team", "a"), tag("said", 'say "x"')], description="The first.")
post("registered-models/create", name="first")
post("registered-models/create", name="second", tags=[tag("team", "b")])
post("registered-models/create", name="Third model ü", tags=[tag("team", "a"), tag("a.b c", "1")])
for name in ["", " ", "a/b", "a:b"]:
    post("registered-models/create", name=name)
post("registered-models/create")
get("registered-models/get", name="first")
get("registered-models/get", name="missing")
get("registered-models/get")
patch("registered-models/update", name="first", description="Changed.")
patch("registered-models/update", name="missing", description="x")
post("registered-models/rename", name="second", new_name="renamed")
post("registered-models/rename", name="renamed", new_name="first")
post("registered-models/rename", name="missing", new_name="x")
get("registered-models/get", name="second")
post("registered-models/set-tag", name="renamed", key="k", value="v")
post("registered-models/set-tag", name="renamed", key="k", value="w")
post("registered-models/set-tag", name="renamed", key="k" * 251, value="w")
post("registered-models/set-tag", name="missing", key="k", value="v")
delete("registered-models/delete-tag", name="renamed", key="k")
delete("registered-models/delete-tag", name="renamed", key="k")
delete("registered-models/delete-tag", name="missing", key="k")
get("registered-models/get", name="renamed")

# Model versions
for number in range(1, 5):
    post("model-versions/create", name="first", source=f"s3://bucket/model/{number}", tags=[tag("n", str(number))])
post("model-versions/create", name="renamed", source="s3://bucket/other", description="A version.", run_link="https://host/run")
for source in ["/local/path", "file:///local", "relative/path", "s3://bucket/../x", "s3://b/%2e%2e/x", "runs:/0123/model", ""]:
    post("model-versions/create", name="first", source=source)
post("model-versions/create", name="missing", source="s3://x/y")
post("model-versions/create", name="first")
get("model-versions/get", name="first", version="1")
get("model-versions/get", name="first", version="99")
get("model-versions/get", name="first", version="x")
get("model-versions/get", name="missing", version="1")
patch("model-versions/update", name="first", version="1", description="Described.")
patch("model-versions/update", name="first", version="99", description="Described.")
post("model-versions/set-tag", name="first", version="2", key="quality", value="good")
post("model-versions/set-tag", name="first", version="99", key="quality", value="good")
delete("model-versions/delete-tag", name="first", version="2", key="n")
delete("model-versions/delete-tag", name="first", version="2", key="n")
get("model-versions/get", name="first", version="2")
get("model-versions/get-download-uri", name="first", version="2")
get("model-versions/get-download-uri", name="first", version="99")

# Aliases
post("registered-models/alias", name="first", alias="champion", version="1")
post("registered-models/alias", name="first", alias="champion", version="2")
post("registered-models/alias", name="first", alias="challenger", version="2")
post("registered-models/alias", name="first", alias="other", version="99")
for alias in ["", "latest", "v1", "V22", "a b", "a" * 256]:
    post("registered-models/alias", name="first", alias=alias, version="1")
get("registered-models/alias", name="first", alias="champion")
get("registered-models/alias", name="first", alias="missing")
get("registered-models/alias", name="missing", alias="champion")
get("registered-models/get", name="first")
get("model-versions/get", name="first", version="2")
delete("registered-models/alias", name="first", alias="challenger")
delete("registered-models/alias", name="first", alias="challenger")
get("model-versions/get", name="first", version="2")

# Stages
post("model-versions/transition-stage", name="first", version="1", stage="Production")
post("model-versions/transition-stage", name="first", version="2", stage="production", archive_existing_versions=True)
post("model-versions/transition-stage", name="first", version="3", stage="Staging")
post("model-versions/transition-stage", name="first", version="3", stage="Nowhere")
post("model-versions/transition-stage", name="first", version="99", stage="Staging")
post("registered-models/get-latest-versions", name="first")
post("registered-models/get-latest-versions", name="first", stages=["Production"])
post("registered-models/get-latest-versions", name="first", stages=["None", "staging"])
post("registered-models/get-latest-versions", name="first", stages=["Nowhere"])
post("registered-models/get-latest-versions", name="missing")
get("registered-models/get", name="first")

# Searches of the registry
for text in [
    "name = 'first'",
    "name != 'first'",
    "name LIKE 'F%'",
    "name LIKE '%ir%'",
    "name ILIKE 'F%'",
    "name ilike '%MODEL%' and tags.team = 'a'",
    "name IN ('first', 'renamed')",
    "name NOT IN ('first')",
    "tags.team = 'a'",
    "tag.team = 'a'",
    "tags.`team` != 'a'",
    "tags.\"a.b c\" = '1'",
    "tags.`a.b c` = '1'",
    "tags.team LIKE '%'",
    "tags.missing != 'x'",
    "tag.`mlflow.prompt.is_prompt` != 'true'",
    "tags.`mlflow.prompt.is_prompt` = 'true'",
    "name = \"first\"",
    "name = first",
    "name = 5",
    "name > 'a'",
    "name LIKE 'a' OR name LIKE 'b'",
    "(name = 'first')",
    "description = 'x'",
    "name",
    "name =",
    "= 'x'",
    "metrics.x > 1",
    "name IN 'first'",
    "name IN ()",
    "version_number = 1",
]:
    get("registered-models/search", filter=text)
for order in [["name"], ["name DESC"], ["name ASC", "timestamp DESC"], ["timestamp"], ["wrong"], ["name UP"]]:
    get("registered-models/search", order_by=order) if order != ["timestamp"] else call("GET", "registered-models/search", show=False, order_by=order)
for most in ["1", "1000", "1001"]:
    page = get("registered-models/search", max_results=most) if most not in ["1"] else call("GET", "registered-models/search", show=False, max_results=most)
    names = [model["name"] for model in page.get("registered_models", [])]
    while most == "1" and page.get("next_page_token"):
        page = call("GET", "registered-models/search", show=False, max_results=most, page_token=page["next_page_token"])
        names += [model["name"] for model in page.get("registered_models", [])]
    print(json.dumps({"pages of": most, "names": names}))
get("registered-models/search", page_token="nonsense")

for text in [
    "",
    "name = 'first'",
    "name LIKE '%ir%' AND version_number > 2",
    "version_number = 2",
    "version_number >= 2 and version_number < 4",
    "version_number = '2'",
    "version_number LIKE '2'",
    "source_path = 's3://bucket/model/3'",
    "source_path LIKE 's3://bucket/model/%'",
    "run_id = 'x'",
    "run_id IN ('x', 'y')",
    "tags.quality = 'good'",
    "tags.`n` != '1'",
    "tags.n LIKE '%' AND name = 'first'",
    "name = 'first' AND tags.n = '3'",
    "name IN ('first')",
    "source_path IN ('x')",
    "wrong = 'x'",
    "attribute.name = 'first'",
    "description = 'x'",
]:
    get("model-versions/search", filter=text, order_by=["name ASC", "version_number DESC"])
for order in [["version_number ASC"], ["version_number DESC", "name ASC"], ["creation_timestamp ASC", "version_number ASC"], ["wrong"]]:
    get("model-versions/search", filter="name = 'first'", order_by=order)
for most in ["2", "200000", "200001", "0"]:
    page = call("GET", "model-versions/search", show=most == "200001" or most == "0", max_results=most, filter="name = 'first'")
    numbers = [v["version"] for v in page.get("model_versions", [])]
    while page.get("next_page_token"):
        page = call("GET", "model-versions/search", show=False, max_results=most, filter="name = 'first'", page_token=page["next_page_token"])
        numbers += [v["version"] for v in page.get("model_versions", [])]
    print(json.dumps({"pages of": most, "versions": sorted(numbers)}))

# Copies and deletions
post("registered-models/create", name="copy")
post("model-versions/create", name="copy", source="models:/first/2")
post("model-versions/create", name="copy", source="models:/first/99")
post("model-versions/create", name="copy", source="models:/missing/1")
get("model-versions/get-download-uri", name="copy", version="1")
delete("model-versions/delete", name="first", version="2")
delete("model-versions/delete", name="first", version="2")
get("model-versions/get", name="first", version="2")
get("registered-models/alias", name="first", alias="champion")
post("model-versions/create", name="first", source="s3://bucket/model/5")
get("registered-models/get", name="first")
delete("registered-models/delete", name="copy")
delete("registered-models/delete", name="copy")
get("model-versions/get", name="copy", version="1")

# Prompts are registered models with a tag
PROMPT = [tag("mlflow.prompt.is_prompt", "true"), tag("mlflow.prompt.text", "Say {{x}}")]
post("registered-models/create", name="greeting", tags=PROMPT[:1])
post("model-versions/create", name="greeting", source="dummy-source", tags=PROMPT)
get("registered-models/search")
get("registered-models/search", filter="tags.`mlflow.prompt.is_prompt` = 'true'")
get("model-versions/search", filter="name = 'greeting'")
get("model-versions/search", filter="name = 'greeting' AND tags.`mlflow.prompt.is_prompt` = 'true'")

# Experiments
named("experiment", "0")
get("experiments/get", experiment_id="0")
answer = call("POST", "experiments/create", {"name": "Cats", "tags": [tag("kind", "cat")]}, show=False)
CATS = named("cats", answer["experiment_id"])
answer = call("POST", "experiments/create", {"name": "Dogs"}, show=False)
DOGS = named("dogs", answer["experiment_id"])
post("experiments/create", name="Cats")
post("experiments/create", name="")
post("experiments/create")
get("experiments/get", experiment_id=CATS)
get("experiments/get", experiment_id="123456")
get("experiments/get-by-name", experiment_name="Dogs")
get("experiments/get-by-name", experiment_name="Missing")
post("experiments/set-experiment-tag", experiment_id=CATS, key="size", value="small")
post("experiments/set-experiment-tag", experiment_id="123456", key="size", value="small")
post("experiments/delete-experiment-tag", experiment_id=CATS, key="size")
post("experiments/delete-experiment-tag", experiment_id=CATS, key="size")
post("experiments/update", experiment_id=DOGS, new_name="Hounds")
post("experiments/delete", experiment_id=DOGS)
post("experiments/delete", experiment_id=DOGS)
get("experiments/get", experiment_id=DOGS)
get("experiments/get-by-name", experiment_name="Hounds")
for view in ["ACTIVE_ONLY", "DELETED_ONLY", "ALL"]:
    post("experiments/search", view_type=view, max_results=10, order_by=["name ASC"])
post("experiments/restore", experiment_id=DOGS)
post("experiments/restore", experiment_id=DOGS)
for text in [
    "name = 'Cats'",
    "name LIKE 'C%'",
    "name ILIKE '%s'",
    "tags.kind = 'cat'",
    "tags.kind IS NULL",
    "tags.kind IS NOT NULL",
    "attribute.name != 'Cats'",
    "creation_time > 0",
    "creation_time > 'x'",
    "wrong = 'x'",
    "name IN ('Cats')",
]:
    post("experiments/search", filter=text, max_results=10, order_by=["name DESC"])
post("experiments/search", max_results=0)
post("experiments/search", max_results=50001)
post("experiments/search", max_results=10, order_by=["wrong"])

# Runs
RUNS = []
for index in range(4):
    answer = call(
        "POST",
        "runs/create",
        {"experiment_id": CATS, "user_id": "ann", "start_time": 1700000000000 + index, "run_name": f"run {index}", "tags": [tag("fold", str(index))]},
        show=False,
    )
    RUNS.append(named(f"run{index}", answer["run"]["info"]["run_id"]))
    get("runs/get", run_id=RUNS[index])
A, B, C, D = RUNS
post("runs/create", experiment_id="123456")
get("runs/get", run_id="0" * 32)
get("runs/get", run_id="a b")
get("runs/get")
post("runs/log-metric", run_id=A, run_uuid=A, key="loss", value=0.5, timestamp=1700000000000, step=0)
post("runs/log-metric", run_id=A, key="loss", value=0.25, timestamp=1700000000001, step=1)
post("runs/log-metric", run_id=A, key="loss", value=0.25, timestamp=1700000000001, step=1)
post("runs/log-metric", run_id=A, key="loss", value=0.75, timestamp=1700000000002, step=0)
post("runs/log-metric", run_id=A, key="nan", value="NaN", timestamp=1700000000002, step=0)
post("runs/log-metric", run_id=A, key="neg", value=-1, timestamp=1700000000002, step=-5)
post("runs/log-metric", run_id=A, key="a/b: c.d-e", value=1, timestamp=1700000000002, step=0)
post("runs/log-metric", run_id=A, key="", value=1, timestamp=1, step=0)
post("runs/log-metric", run_id=A, key="a,b", value=1, timestamp=1, step=0)
post("runs/log-metric", run_id=A, key="../a", value=1, timestamp=1, step=0)
post("runs/log-metric", run_id=A, key="k" * 251, value=1, timestamp=1, step=0)
post("runs/log-metric", run_id=A, key="x", value="text", timestamp=1, step=0)
post("runs/log-metric", run_id=A, key="x", timestamp=1, step=0)
post("runs/log-metric", run_id="0" * 32, key="x", value=1, timestamp=1, step=0)
get("metrics/get-history", run_id=A, metric_key="loss")
get("metrics/get-history", run_id=A, metric_key="nan")
get("metrics/get-history", run_id=A, metric_key="missing")
post("runs/log-parameter", run_id=A, key="depth", value="3")
post("runs/log-parameter", run_id=A, key="depth", value="3")
post("runs/log-parameter", run_id=A, key="depth", value="4")
post("runs/log-parameter", run_id=A, key="long", value="v" * 6000)
post("runs/log-parameter", run_id=A, key="empty", value="")
post("runs/set-tag", run_id=A, key="color", value="red")
post("runs/set-tag", run_id=A, key="color", value="blue")
post("runs/set-tag", run_id=A, key="mlflow.runName", value="renamed by tag")
post("runs/delete-tag", run_id=A, key="fold")
post("runs/delete-tag", run_id=A, key="fold")
get("runs/get", run_id=A)
metric = {"value": 1, "timestamp": 1700000000000, "step": 0}
post(
    "runs/log-batch",
    run_id=B,
    metrics=[{"key": f"m{i}", **metric, "value": i} for i in range(3)] + [{"key": "loss", **metric, "step": s, "value": s / 10} for s in range(5)],
    params=[{"key": "depth", "value": "5"}, {"key": "only B", "value": "x"}],
    tags=[tag("color", "red")],
)
post("runs/log-batch", run_id=B, params=[{"key": "depth", "value": "6"}])
post("runs/log-batch", run_id=B, params=[{"key": "twice", "value": "1"}, {"key": "twice", "value": "2"}])
post("runs/log-batch", run_id=B)
call("POST", "runs/log-batch", {"run_id": C, "metrics": [{"key": f"k{i}", **metric} for i in range(1000)]})
print(json.dumps({"metrics": len(call("GET", "runs/get", show=False, run_id=C)["run"]["data"]["metrics"])}))
for what, count in [("metrics", 1001), ("params", 101), ("tags", 101)]:
    entries = [{"key": f"x{i}", **metric} if what == "metrics" else tag(f"x{i}", "1") for i in range(count)]
    answer = SESSION.post(f"{URI}/api/2.0/mlflow/runs/log-batch", json={"run_id": D, what: entries})
    print(json.dumps({"too many": what, "status": answer.status_code, "error": answer.json()["error_code"]}))
get("runs/get", run_id=B)
post("runs/update", run_id=B, status="FINISHED", end_time=1700000001000, run_name="done")
post("runs/update", run_id="0" * 32, status="FINISHED")
get("runs/get", run_id=B)
dataset = {"name": "iris", "digest": "abc123", "source_type": "local", "source": "{}", "schema": "{}", "profile": "{}"}
post("runs/log-inputs", run_id=B, datasets=[{"dataset": dataset, "tags": [tag("mlflow.data.context", "train")]}])
get("runs/get", run_id=B)
get("metrics/get-history", run_id=B, metric_key="loss")
post("runs/log-metric", run_id=D, key="loss", value=0.1, timestamp=1700000000000, step=0)

for text in [
    "",
    "metrics.loss < 0.3",
    "metrics.loss >= 0.25 and params.depth = '3'",
    "metric.`a/b: c.d-e` = 1",
    "metrics.nan != 5",
    "metrics.nan > 0",
    "metrics.missing > 0",
    "params.depth != '3'",
    "params.\"only B\" = 'x'",
    "param.`only B` LIKE '%'",
    "params.depth IS NULL",
    "params.depth IS NOT NULL",
    "tags.color = 'red'",
    "tags.color ILIKE 'RE%'",
    "tags.fold LIKE '_'",
    "tags.mlflow.runName = 'run 2'",
    "attributes.status = 'FINISHED'",
    "status = 'RUNNING'",
    "run_name = 'run 2'",
    "attributes.`run name` = 'run 2'",
    "attributes.\"Run name\" LIKE 'run%'",
    "attributes.start_time >= 1700000000002",
    "created < 1700000000001",
    "end_time > 0",
    "user_id = 'ann'",
    f"run_id = '{A}'",
    f"run_id IN ('{A}', '{B}')",
    f"run_id NOT IN ('{A}', '{B}')",
    "status IN ('FINISHED')",
    "dataset.name = 'iris'",
    "datasets.digest LIKE 'abc%'",
    "dataset.context = 'train'",
    "dataset.name = 'other'",
    "metrics.loss > '0.1'",
    "metrics.loss LIKE '0.1'",
    "params.depth > '1'",
    "params.depth = 3",
    "start_time = 'x'",
    "wrong.key = 'x'",
    "wrong = 'x'",
    "metrics.loss > 0.1 OR metrics.loss < 0",
    "metrics.loss > 1e-3",
    "metrics.neg > -2",
]:
    answer = call("POST", "runs/search", {"experiment_ids": [CATS], "filter": text, "max_results": 100}, show=False)
    found = [shown(run["info"]["run_id"]) for run in answer.get("runs", [])]
    print(json.dumps({"runs": shown(text), "found": found, "error": answer.get("error_code")}))
for order in [
    ["start_time ASC"],
    ["metrics.loss ASC"],
    ["metrics.loss DESC"],
    ["metrics.nan ASC"],
    ["metrics.nan DESC"],
    ["params.depth DESC"],
    ["tags.color ASC", "start_time DESC"],
    ["attributes.end_time DESC"],
    ["metrics.`a/b: c.d-e` DESC"],
    ["run_name DESC"],
    ["wrong"],
    ["status", "start_time"],
]:
    answer = call("POST", "runs/search", {"experiment_ids": [CATS], "order_by": order, "max_results": 100}, show=False)
    found = [shown(run["info"]["run_id"]) for run in answer.get("runs", [])]
    print(json.dumps({"ordered by": order, "found": found, "error": answer.get("error_code")}))
token = None
pages = []
while token != "":
    answer = call("POST", "runs/search", {"experiment_ids": [CATS], "max_results": 3, **({"page_token": token} if token else {})}, show=False)
    pages.append([shown(run["info"]["run_id"]) for run in answer.get("runs", [])])
    token = answer.get("next_page_token", "")
print(json.dumps({"pages": pages}))
post("runs/search", experiment_ids=[], max_results=5)
post("runs/search", experiment_ids=[CATS], filter=f"run_id IN ('{A}', '{B}')", max_results=5)
post("runs/search", experiment_ids=[CATS], max_results=50001)
post("runs/delete", run_id=D)
post("runs/log-metric", run_id=D, key="loss", value=0.1, timestamp=1700000000000, step=0)
post("runs/set-tag", run_id=D, key="a", value="b")
get("runs/get", run_id=D)
for view in ["ACTIVE_ONLY", "DELETED_ONLY", "ALL"]:
    answer = call("POST", "runs/search", {"experiment_ids": [CATS], "run_view_type": view, "max_results": 10}, show=False)
    print(json.dumps({view: [shown(run["info"]["run_id"]) for run in answer.get("runs", [])]}))
post("runs/delete", run_id="0" * 32)
post("runs/restore", run_id=D)
get("runs/get", run_id=D)
post("runs/delete", run_id=D)
post("runs/delete", run_id=D)
post("runs/restore", run_id=D)
post("runs/restore", run_id=D)


def runs_by_view(experiment):
    """Which runs each view has, and what a run says of itself."""
    for view in ["ACTIVE_ONLY", "DELETED_ONLY", "ALL"]:
        for order in [[], ["attributes.start_time"]]:
            answer = call(
                "POST",
                "runs/search",
                {"experiment_ids": [experiment], "run_view_type": view, "order_by": order, "max_results": 10},
                show=False,
            )
            found = [(shown(run["info"]["run_id"]), run["info"]["lifecycle_stage"]) for run in answer.get("runs", [])]
            print(json.dumps({view: found}))


# The runs of an experiment go and come back with it, those too that were deleted before.
KEPT, GONE = (
    named(name, call("POST", "runs/create", {"experiment_id": DOGS, "run_name": name, "start_time": start}, show=False)["run"]["info"]["run_id"])
    for name, start in [("kept", 1700000000001), ("gone", 1700000000002)]
)
post("runs/delete", run_id=GONE)
post("experiments/delete", experiment_id=DOGS)
post("runs/create", experiment_id=DOGS)
runs_by_view(DOGS)
get("runs/get", run_id=KEPT)
post("runs/log-metric", run_id=KEPT, key="loss", value=0.1, timestamp=1700000000000, step=0)
post("runs/log-batch", run_id=KEPT, params=[tag("a", "b")])
post("runs/set-tag", run_id=KEPT, key="a", value="b")
post("runs/delete-tag", run_id=KEPT, key="a")
post("runs/update", run_id=KEPT, status="FINISHED", end_time=1700000000009)
post("runs/log-inputs", run_id=KEPT, datasets=[])
post("runs/delete", run_id=KEPT)
post("runs/restore", run_id=KEPT)
runs_by_view(DOGS)
post("runs/log-metric", run_id=KEPT, key="loss", value=0.1, timestamp=1700000000000, step=0)
post("experiments/restore", experiment_id=DOGS)
runs_by_view(DOGS)
post("runs/set-tag", run_id=GONE, key="a", value="b")
post("runs/update", run_id=GONE, status="FINISHED", end_time=1700000000009)
post("runs/delete", run_id=GONE)
runs_by_view(DOGS)
post("experiments/delete", experiment_id=DOGS)
runs_by_view(DOGS)

# Logged models
answer = call(
    "POST",
    "logged-models",
    {"experiment_id": CATS, "name": "net", "model_type": "agent", "source_run_id": A, "params": [tag("lr", "0.1")], "tags": [tag("t", "1")]},
    show=False,
)
M = named("model", answer["model"]["info"]["model_id"])
get(f"logged-models/{M}")
get("logged-models/m-" + "0" * 32)
post("logged-models", experiment_id="123456", name="x")
patch(f"logged-models/{M}/tags", tags=[tag("t", "2"), tag("u", "3")])
delete(f"logged-models/{M}/tags/u")
delete(f"logged-models/{M}/tags/u")
post(f"logged-models/{M}/params", model_id=M, params=[tag("depth", "4")])
post("runs/log-metric", run_id=A, key="acc", value=0.9, timestamp=1700000000000, step=0, model_id=M, dataset_name="iris", dataset_digest="abc")
post("runs/outputs", run_id=A, models=[{"model_id": M, "step": 2}])
patch(f"logged-models/{M}", model_id=M, status="LOGGED_MODEL_READY")
get(f"logged-models/{M}")
get("runs/get", run_id=A)
for text in ["", "name = 'net'", "params.lr = '0.1'", "tags.t = '2'", "metrics.acc > 0.5", "metrics.acc > 0.95", "model_type = 'agent'", "creation_timestamp > 0"]:
    post("logged-models/search", experiment_ids=[CATS], filter=text)
post("logged-models/search", experiment_ids=[CATS], datasets=[{"dataset_name": "other"}])
post("logged-models/search", experiment_ids=[CATS], order_by=[{"field_name": "metrics.acc", "ascending": False}])
post("logged-models/search", experiment_ids=[CATS], order_by=[{"field_name": "wrong"}])

# Artifacts
def put(path, data):
    answer = SESSION.put(f"{URI}/api/2.0/mlflow-artifacts/artifacts/{path}", data=data)
    print(json.dumps({"put": shown(path), "status": answer.status_code}))


def fetch(path):
    answer = SESSION.get(f"{URI}/api/2.0/mlflow-artifacts/artifacts/{path}")
    print(json.dumps({"fetched": shown(path), "status": answer.status_code, "text": answer.text if answer.ok else None}))


ROOT = f"{CATS}/{A}/artifacts"
put(f"{ROOT}/a.txt", b"first")
put(f"{ROOT}/a.txt", b"second")
put(f"{ROOT}/folder/b.txt", b"b")
put(f"{ROOT}/folder/deep/c%20d.txt", b"c")
fetch(f"{ROOT}/a.txt")
fetch(f"{ROOT}/folder/deep/c%20d.txt")
fetch(f"{ROOT}/missing.txt")
fetch(f"{ROOT}/%2e%2e/%2e%2e/x")
for path in [ROOT, f"{ROOT}/folder", f"{ROOT}/missing"]:
    print(json.dumps(shown(SESSION.get(f"{URI}/api/2.0/mlflow-artifacts/artifacts", params={"path": path}).json())))
get("artifacts/list", run_id=A)
get("artifacts/list", run_id=A, path="folder")
get("artifacts/list", run_id=A, path="missing")
get("artifacts/list", run_id="0" * 32)
get("artifacts/list", run_id=A, path="../x")
call("DELETE", f"artifacts/{ROOT}/folder", api="2.0/mlflow-artifacts")
get("artifacts/list", run_id=A)
MODEL_ROOT = f"{CATS}/models/{M}/artifacts"
put(f"{MODEL_ROOT}/MLmodel", b"flavors: {}\n")
get(f"logged-models/{M}/artifacts/directories")

# Versions of runs and logged models
post("model-versions/create", name="first", source=f"runs:/{A}/a.txt", run_id=B)
post("model-versions/create", name="first", source=f"models:/{M}", model_id=M)
get("model-versions/search", filter=f"run_id = '{A}'")
get(f"logged-models/{M}")
delete(f"logged-models/{M}")
get(f"logged-models/{M}")
get(f"logged-models/{M}", allow_deleted="true")

# What is not there
answer = SESSION.get(f"{URI}/api/2.0/mlflow/no-such-thing")
print(json.dumps({"unknown": answer.status_code}))
