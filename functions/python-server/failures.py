"""Whose fault a failed prediction is: 4xx is the caller's, 5xx the model's. Alarms count the latter, and roll back."""

import traceback

from answers import response_of
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from mlflow.exceptions import MlflowException
from mlserver.errors import InferenceError, MLServerError
from mlserver_mlflow import MLflowRuntime


class Runtime(MLflowRuntime):
    """MLServer's, to which a request whose data are not what they say they are is no fault of its own."""

    def decode_request(self, *args, **kwargs):
        try:
            return super().decode_request(*args, **kwargs)
        except MLServerError:
            raise
        except Exception as error:
            raise MLServerError(f"The request cannot be read: {error}") from error

    def encode_response(self, payload, default_codec=None):
        return response_of(payload, self.name, self.version)


def status_of(error):
    """MLflow says by its code whose fault it is. What a model raises besides is never the caller's."""
    return error.get_http_status_code() if isinstance(error, MlflowException) else 500


def tell_failures(app):
    """Has every failure answered as the Open Inference Protocol has it: a status, and `error` with a sentence."""

    def answer(status, text):
        return JSONResponse({"error": text}, status)

    @app.exception_handler(RequestValidationError)
    async def of_request(_, error):
        first = error.errors()[0]
        where = ".".join(str(name) for name in first["loc"][1:])
        return answer(400, f"{where}: {first['msg']}")

    @app.exception_handler(MlflowException)
    async def of_mlflow(_, error):
        return answer(status_of(error), error.message)

    @app.exception_handler(InferenceError)
    async def of_invocation(_, error):
        # `/invocations` makes one of these of whatever the model raised, with the status 400.
        cause = error.__context__
        if cause is None:
            return answer(error.status_code, str(error))
        status = status_of(cause)
        if status >= 500:
            traceback.print_exception(cause)
        return answer(status, str(error))

    @app.exception_handler(Exception)
    async def of_model(_, error):
        return answer(500, f"The model failed: {type(error).__name__}: {error}")
