"""`up` and `down`: the order of their steps, and their messages to the user."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx

from deploy.local import preflight
from deploy.local.components import GATEWAY_CONFIG, Component, Launch, gateway_config
from deploy.local.instance import AlreadyUp, Instance, Leader, Record, boot_id, stop_runner
from deploy.local.instance_secrets import ADMIN_TOKEN, instance_secrets, write_private
from deploy.local.logs import causes
from deploy.local.ports import PortHeld, hold_ports, listens
from deploy.local.processes import (
    StopRequested,
    Supervisor,
    raise_on_stop,
    run_quietly,
    signal_name,
)
from deploy.local.readiness import Gateway, NotReady, template_missing, wait_until_ready
from deploy.local.settings import CHECKOUT, Settings
from deploy.local.variables import SettingError
from gateway.errors import ConfigError
from gateway.settings import Settings as GatewaySettings

DOWN_TIMEOUT = 30.0


class CommandFailure(Exception):
    """A command that can't do its work; one line for the user, and details to show with it."""

    def __init__(self, message: str, details: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.details = details


def up(settings: Settings) -> None:
    """Run everything until told to stop. Raises CommandFailure when it can't, or a part fails."""
    instance = Instance(settings.state)
    raise_on_stop()
    try:
        with instance.lock():
            if swept := instance.sweep():
                print(f"removed {swept} processes that an earlier run left behind", flush=True)
            _run(settings, instance)
    except StopRequested:
        print("tierflow is stopped", flush=True)
    except AlreadyUp as already:
        raise CommandFailure(
            f"port {settings.port} is in use: tierflow is already up there (process "
            f"{already.pid}); stop it with `make down`, or choose another with TIERFLOW_PORT"
        ) from already


def _run(settings: Settings, instance: Instance) -> None:
    try:
        with hold_ports(settings.ports):
            _run_parts(settings, instance)
    except (PortHeld, preflight.PreflightFailure) as failure:
        raise CommandFailure(str(failure)) from failure


def _run_parts(settings: Settings, instance: Instance) -> None:
    settings = preflight.check(settings)
    names = [device.name for device in settings.devices]
    secrets = instance_secrets(instance.folder, names)
    config = instance.folder / GATEWAY_CONFIG
    write_private(config, gateway_config(settings, secrets))
    _check_gateway(config)
    engine_python = _engine_python(settings)
    launch = Launch(
        settings=settings,
        instance=instance,
        secrets=secrets,
        gateway_python=sys.executable,
        engine_python=engine_python,
        temporary=tempfile.mkdtemp(prefix="tierflow-"),
        cores=os.sched_getaffinity(0),
    )
    # The record says who holds the instance, also before it has the parts.
    instance.write(Record(runner=os.getpid(), boot=boot_id(), temporary=launch.temporary))
    run = _Run(launch)
    try:
        run.until_ended()
    finally:
        instance.sweep()
    run.report()


def _check_gateway(config: Path) -> None:
    """Raises SettingError where the gateway would refuse to start with this file and the
    environment: it would do so only when the engines are there."""
    try:
        GatewaySettings.load(config)
    except ConfigError as error:
        raise SettingError(error.message) from error


class _Run:
    """The run of an instance's parts, from their start until all have ended."""

    def __init__(self, launch: Launch) -> None:
        self._launch = launch
        self._instance = launch.instance
        self._parts = launch.components()
        self._problem: str | None = None
        self._gateway = Gateway(launch.settings.port, launch.secrets.admin_token)
        self._supervisor = Supervisor(self._watch, self._on_device_end)

    def until_ended(self) -> None:
        """Start the parts; returns when all have ended."""
        for part in self._parts:
            self._supervisor.add(
                part.name,
                part.command,
                environment=part.environment,
                cwd=CHECKOUT,
                log=self._log(part.name),
                vital=part.vital,
            )
        if note := self._launch.settings.devices_note:
            print(note)
        names = ", ".join(part.name for part in self._parts)
        print(f"starting {names}; logs in {self._instance.logs}", flush=True)
        self._supervisor.loop()

    def report(self) -> None:
        """Say how the run ended. Raises CommandFailure where that was not on request."""
        if self._supervisor.failed:
            name, code = self._supervisor.failed
            log = self._log(name)
            message = f"{name} stopped ({signal_name(code)}), so everything was stopped; log: {log}"
            raise CommandFailure(message, causes(log))
        if self._problem:
            raise CommandFailure(f"{self._problem}; logs in {self._instance.logs}")
        print("tierflow is stopped", flush=True)

    def _watch(self, supervisor: Supervisor) -> None:
        """Record the processes, wait until they are ready, and say so."""
        settings, ended = self._launch.settings, supervisor.ended
        leaders = supervisor.leaders()
        self._instance.write(
            Record(
                runner=os.getpid(),
                boot=boot_id(),
                temporary=self._launch.temporary,
                leaders=leaders,
            )
        )
        try:
            ready = wait_until_ready(
                self._parts,
                self._gateway,
                timeout=settings.start_timeout,
                sleep=supervisor.wait,
                ended=ended,
                is_own=_ownership(leaders),
            )
        except NotReady as late:
            self._problem = str(late)
            supervisor.stop()
            return
        if ready:
            names = [part.device for part in self._parts if part.device and part.name not in ended]
            with httpx.Client(trust_env=False, timeout=2.0) as client:
                mute = template_missing(client, self._gateway.url)
            print(announcement(settings, self._instance, names, mute), flush=True)

    def _on_device_end(self, name: str, code: int) -> None:
        log = self._log(name)
        print(f"device {name} stopped ({signal_name(code)}), the rest goes on; log: {log}")
        for line in causes(log):
            print(f"  {line}", flush=True)

    def _log(self, name: str) -> Path:
        return self._instance.logs / f"{name}.log"


def _ownership(leaders: Sequence[Leader]) -> Callable[[Component], bool]:
    """Tells whether a part's own processes listen on its port."""
    by_name = {leader.name: leader for leader in leaders}

    def is_own(part: Component) -> bool:
        leader = by_name.get(part.name)
        return leader is not None and listens(leader, part.port)

    return is_own


def _engine_python(settings: Settings) -> str:
    """The Python that runs the engines; its environment is made on first use."""
    if settings.engine == "simulator":
        return sys.executable
    if settings.engine_python:
        return settings.engine_python
    script = CHECKOUT / "deploy" / "local" / "environments.py"
    code, path = run_quietly([sys.executable, str(script), "engine"], CHECKOUT)
    if code:
        raise CommandFailure("the engine environment could not be made, see above")
    return path.strip()


def announcement(
    settings: Settings, instance: Instance, devices: Sequence[str], mute: str = ""
) -> str:
    """The message once everything is ready. `devices` are those that have registered, `mute` says
    which models have no chat template."""
    members = [f"  devices: {', '.join(devices)}"] if devices else []
    question = "Add 417 and 325 digit by digit."
    route, body = "chat/completions", f'"messages": [{{"role": "user", "content": "{question}"}}]'
    template = []
    if mute:
        route, body = "completions", f'"prompt": "{question}", "max_tokens": 32'
        template = [
            f"  no chat template: {mute}",
            "  to give one: TIERFLOW_ENGINE_ARGS='--chat-template FILE'",
        ]
    return "\n".join(
        [
            f"tierflow is up: {settings.url}",
            f"  curl {settings.url}/v1/{route} -H 'content-type: application/json' \\",
            f'    -d \'{{"model": "tierflow-auto", {body}}}\'',
            *template,
            *members,
            "  no key is needed: only this machine reaches it",
            f"  operator's token: {instance.folder / ADMIN_TOKEN}",
            "  Ctrl-C here or `make down` in another shell stops it",
        ]
    )


def down(settings: Settings) -> None:
    """Stop the instance on this port, and what a killed one left. Raises CommandFailure."""
    instance = Instance(settings.state)
    was_locked = instance.is_locked()
    if was_locked and not stop_runner(instance, DOWN_TIMEOUT):
        record = instance.read()
        raise CommandFailure(
            f"tierflow on port {settings.port} did not stop within {DOWN_TIMEOUT:.0f} s; "
            f"kill process {record.runner if record else 'unknown'} and run `make down` again"
        )
    swept = instance.sweep()
    if was_locked:
        print("tierflow is stopped")
    elif swept:
        print(f"removed {swept} processes that an earlier run left behind")
    else:
        print(f"nothing is running on port {settings.port}")
