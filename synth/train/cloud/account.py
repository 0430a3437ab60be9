"""The AWS account: a session whose credentials and bucket are known to work, one that never leaves this machine, and
AWS's errors as sentences.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from synth.errors import InputError, TrainError
from synth.train.params import SageMaker

if TYPE_CHECKING:
    import boto3

NOTHING = "nothing was created"
DENIED = ("AccessDenied", "AccessDeniedException", "403", "Forbidden", "UnauthorizedOperation")
EXPIRED = ("ExpiredToken", "ExpiredTokenException", "RequestExpired")
INVALID = ("InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "InvalidAccessKeyId")


def connect(settings: SageMaker) -> "boto3.Session":
    """A session in the region of `settings`, whose credentials are valid and whose bucket exists.

    InputError for a region or bucket, TrainError for credentials that cannot be used; nothing is created.
    """
    session = _session(settings)
    with explained(NOTHING):
        session.client("sts").get_caller_identity()
    _check_bucket(session, settings.bucket)
    return session


def offline(settings: SageMaker, seen: Callable[[str, dict[str, Any]], None]) -> "boto3.Session":
    """A session that needs no credentials and sends nothing: `seen(operation, request)` gets each call instead."""
    from botocore.awsrequest import AWSResponse

    session = _session(settings, aws_access_key_id="none", aws_secret_access_key="none")
    answers = {
        "GetRole": {"Role": {}},
        "CreateMultipartUpload": {"UploadId": "none"},
        "UploadPart": {"ETag": "none"},
        "DescribeTrainingJob": {"TrainingJobName": "none"},
    }

    def keep(params: dict[str, Any], model: Any, **_: Any) -> None:
        seen(model.name, params)

    def answer(model: Any, **_: Any) -> tuple[AWSResponse, dict[str, Any]]:
        return AWSResponse("", 200, {}, None), answers.get(model.name, {})

    session.events.register("before-parameter-build", keep)
    session.events.register_first("before-call", answer)
    return session


@contextmanager
def explained(consequence: str) -> Iterator[None]:
    """Within the block, what botocore raises becomes a TrainError of one sentence that ends with `consequence`."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        raise TrainError(f"{_refusal(error.response['Error'], error.operation_name)}; {consequence}") from error
    except (BotoCoreError, Boto3Error) as error:
        raise TrainError(f"{_obstacle(error)}; {consequence}") from error


def own_region() -> str | None:
    """The region of the AWS configuration, if it names one."""
    _check_installed()
    import boto3

    with explained(NOTHING):
        return boto3.Session().region_name


def _session(settings: SageMaker, **credentials: str) -> "boto3.Session":
    _check_installed()
    import boto3

    with explained(NOTHING):
        session = boto3.Session(region_name=settings.region or None, **credentials)
    regions = (
        session.get_available_regions("sagemaker", partition) for partition in session.get_available_partitions()
    )
    if not any(session.region_name in some for some in regions):
        remedy = "give one that has SageMaker, such as eu-west-1, here or as AWS_DEFAULT_REGION"
        raise InputError("sagemaker.region", session.region_name or "", remedy)
    return session


def _check_installed() -> None:
    if not all(map(_is_installed, ("boto3", "sagemaker.train"))):
        raise TrainError('SageMaker needs packages that are missing here: pip install "synth[sagemaker]"')


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # not even the package that it is in
        return False


def _check_bucket(session: "boto3.Session", bucket: str) -> None:
    from botocore.exceptions import ClientError

    try:
        with_region = session.client("s3").head_bucket(Bucket=bucket)
    except ClientError as error:
        missing = error.response["Error"]["Code"] in ("404", "NoSuchBucket")
        remedy = f"create it first (aws s3 mb s3://{bucket})" if missing else "use one that your credentials may read"
        raise InputError("sagemaker.bucket", bucket, f"{remedy}; {NOTHING}") from error
    region = with_region.get("BucketRegion", session.region_name)
    if region != session.region_name:
        remedy = f"use one in {session.region_name}, or sagemaker.region: {region}, where it lies; {NOTHING}"
        raise InputError("sagemaker.bucket", bucket, remedy)


def _refusal(error: dict[str, str], operation: str) -> str:
    code, message = error.get("Code", ""), " ".join(error.get("Message", "").split()).rstrip(".")
    if code in EXPIRED:
        return "The AWS credentials have expired: run `aws sso login`, or get new ones"
    if code in INVALID:
        return f"AWS does not accept the credentials ({message}): run `aws configure`"
    if code in DENIED:
        return f"AWS does not let you do this ({operation}: {message}): ask for that permission, and for iam:PassRole"
    if code == "ResourceLimitExceeded":
        return f"The account's quota is too small ({message}): raise it under Service Quotas, or use other instances"
    return f"AWS refused {operation} ({message or code})"


def _obstacle(error: Exception) -> str:
    from botocore import exceptions

    if isinstance(error, exceptions.NoCredentialsError | exceptions.PartialCredentialsError):
        return "There are no AWS credentials here: run `aws configure` or `aws sso login`, or set AWS_PROFILE"
    if isinstance(error, exceptions.HTTPClientError):
        return f"AWS cannot be reached ({' '.join(str(error).split())}): check the network"
    return f"AWS cannot be used ({' '.join(str(error).split())})"
