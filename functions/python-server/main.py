"""One replica of a version that MLflow logged: MLServer with its MLflow runtime, in the model's own Python environment.

Keeps the model server's contract: files verified before anything of them is loaded, a ready line with the port, SIGTERM
finishes what is under way. Exit codes: 0 drained, 1 unexpected, 3 files are not what was published, 4 model does not load.
"""

import asyncio
import hashlib
import json
import os
import signal
import sys
import sysconfig
import threading
from pathlib import Path

from landlock import restrict


def say(level, msg):
    print(json.dumps({"level": level, "msg": msg}), flush=True)


def refuse(code, why):
    say("error", f"cannot start: {why}")
    sys.stdout.flush()
    os._exit(code)


def end_with_parent():
    while sys.stdin.buffer.read(4096):
        pass
    os._exit(0)


def verify(directory, list_path):
    for file in json.loads(Path(list_path).read_text()):
        digest, size = hashlib.sha256(), 0
        try:
            with open(directory / file["path"], "rb") as stream:
                while chunk := stream.read(1024 * 1024):
                    digest.update(chunk)
                    size += len(chunk)
        except FileNotFoundError:
            refuse(3, f'"{file["path"]}" is missing.')
        if size != file["size"]:
            refuse(3, f'"{file["path"]}" has {size} bytes, not {file["size"]}.')
        if digest.hexdigest() != file["sha256"]:
            refuse(3, f'"{file["path"]}" has SHA-256 {digest.hexdigest()}, not {file["sha256"]}.')


def confine(model, own):
    """To the interpreter, its packages and the system's libraries for reading, and the own directory for writing."""
    interpreter = {sys.prefix, sys.base_prefix, str(Path(sys.executable).resolve().parent)}
    interpreter.update(sysconfig.get_paths().values())
    interpreter.update(filter(None, sys.path))
    system = ("/usr", "/lib", "/lib64", "/bin", "/etc", "/sys", "/dev")
    # Not those of other processes, whose environment is in them.
    facts = [f"/proc/{name}" for name in ("self", "cpuinfo", "meminfo", "stat", "sys", "version", "loadavg", "filesystems")]
    program = str(Path(__file__).parent)
    writable = [own, "/dev/null", "/dev/shm"]
    if not restrict([*interpreter, *system, *facts, program, str(model)], writable):
        say("warn", "this system has no Landlock: the model can read and write what the server's user can")


async def serve(name, version, uri, host):
    from failures import tell_failures
    from mlserver.server import MLServer
    from mlserver.settings import ModelParameters, ModelSettings, Settings

    # In this process alone, so that the memory that is watched is all there is. gRPC cannot be left out; nobody is told its port.
    settings = Settings(
        debug=False, host=host, http_port=0, grpc_port=0, parallel_workers=0, metrics_endpoint=None
    )
    server = MLServer(settings)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
        loop.remove_signal_handler(number)
    # Clients come through a gateway that passes on everything below /v2: none may unload the model.
    routes = server._rest_server._app.router.routes
    routes[:] = [route for route in routes if not getattr(route, "path", "").startswith("/v2/repository")]
    tell_failures(server._rest_server._app)
    model = ModelSettings(
        name=name,
        implementation="failures.Runtime",
        parameters=ModelParameters(uri=uri, version=version),
    )
    running = asyncio.create_task(server.start([model]))
    draining = False

    def drain():
        nonlocal draining
        draining = True
        asyncio.create_task(server.stop(signal.SIGTERM))

    while not running.done():
        port = port_of(server)
        if port and await loaded(server, name):
            loop.add_signal_handler(signal.SIGTERM, drain)
            print(json.dumps({"ready": True, "port": port}), flush=True)
            break
        await asyncio.sleep(0.05)
    await running
    if not draining:
        refuse(4, "the model does not load; the lines above say why")


def port_of(server):
    """Where it listens; None until it does."""
    http = getattr(server._rest_server, "_server", None)
    return http.servers[0].sockets[0].getsockname()[1] if http and http.started else None


async def loaded(server, name):
    try:
        return await server._data_plane.model_ready(name)
    except Exception:  # It is not there yet.
        return False


def main():
    environment = os.environ
    if environment.get("CAIRN_EXIT_WITH_PARENT") == "1":
        threading.Thread(target=end_with_parent, daemon=True).start()
    directory = Path(environment["CAIRN_MODEL_DIR"])
    own = os.getcwd()
    os.environ.update(HOME=own, TMPDIR=own, MPLCONFIGDIR=own)
    verify(directory, environment["CAIRN_MODEL_FILES"])
    confine(directory, own)
    uri = str(directory / environment["CAIRN_MODEL_ENTRY"])
    asyncio.run(serve(environment["CAIRN_MODEL_NAME"], environment["CAIRN_MODEL_VERSION"], uri, environment["CAIRN_HOST"]))
    os._exit(0)


main()
