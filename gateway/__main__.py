"""python -m gateway --config FILE"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import uvicorn

from gateway.adapters.logs import configure_logs
from gateway.app import create_app
from gateway.errors import ConfigError
from gateway.protocol.speculation import MAX_FRAME_BYTES
from gateway.settings import Settings


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m gateway", description="Serve the gateway.")
    parser.add_argument("--config", type=Path, help="YAML file with the settings")
    arguments = parser.parse_args()
    try:
        settings = Settings.load(arguments.config)
        app = create_app(settings)
    except ConfigError as error:
        sys.exit(_refuse(error))
    configure_logs(settings.log_level)
    uvicorn.run(
        app,
        host=settings.listen.host,
        port=settings.listen.port,
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        ws_max_size=MAX_FRAME_BYTES,
        # Token ids don't shrink, and the devices' own pings keep their leases.
        ws_per_message_deflate=False,
        ws_ping_interval=None,
        access_log=False,
        proxy_headers=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=30,
    )


def _refuse(error: ConfigError) -> int:
    print(f"gateway: {error.message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    main()
