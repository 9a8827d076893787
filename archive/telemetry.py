"""How processes log: one JSON object a line, to standard error or a file of the role.

Rules: shells log, cores never do. No telephone number, name, key, Call-ID of an
exempt call or URL with a secret is ever an argument. JSON escapes control
characters, so that one event stays one line whatever a peer called itself.
"""

from __future__ import annotations

import logging
import os
from logging.handlers import RotatingFileHandler

import structlog

from archive.settings import Settings

LOG_FILE_BYTES_MAX = 16 * 1024 * 1024
"""Days of a busy recorder; what is of value for longer stands in the audit log."""

LOG_FILES_MAX = 4

QUIET_LIBRARIES = (
    "aiohttp.access",
    "alembic",
    "apscheduler",
    "asyncio",
    "boto3",
    "botocore",
    "procrastinate",
    "sqlalchemy",
    "urllib3",
)


def configure_logging(settings: Settings, role: str) -> None:
    """Let structlog and the libraries' own logging write to the place the settings name."""
    handler: logging.Handler = logging.StreamHandler()
    if settings.log_dir is not None:
        settings.log_dir.mkdir(parents=True, exist_ok=True)
        path = settings.log_dir / f"{role}.log"
        handler = RotatingFileHandler(path, maxBytes=LOG_FILE_BYTES_MAX, backupCount=LOG_FILES_MAX)
    process = {"role": role, "pid": os.getpid()}
    shared: list[structlog.typing.Processor] = [
        # Context variables would say this too, but a thread of a pool begins without them.
        lambda _, __, event: {**event, **process},
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.CallsiteParameterAdder([structlog.processors.CallsiteParameter.MODULE]),
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
    )
    handler.setFormatter(formatter)
    logging.basicConfig(level=settings.log_level, handlers=[handler], force=True)
    # Libraries tell of requests with addresses and parameters; only their warnings concern an operator.
    for name in QUIET_LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
