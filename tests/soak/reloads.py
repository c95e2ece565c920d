"""The configuration changes while everything runs; nobody notices whom it does not concern."""
import asyncio
import signal
import time

import peers
from cameras import Camera, over
from readers import Reader, Refused
from watch import Page

SAID = "the new configuration has errors; the old one stays in use"
IN_FORCE = 10  # seconds until a new configuration is in force, and what it ends has ended


def secret(name):
    """A generated account: its TOML without grants, and its password."""
    done = peers.run(peers.BINARY, "hash-password", "--generate", name)
    assert done.returncode == 0, done.stderr
    comment, pair = done.stdout.decode().strip().splitlines()
    return f'[[user]]\nname = "{name}"\n{pair}\n', comment.split()[-1]


def grant(streams):
    return f'[[user.grant]]\nstreams = "{streams}"\nmay = ["view", "listen"]\n'


class Configuration:
    """The text of the file, put together from what changes."""

    def __init__(self, fleet):
        self.recorder, password = secret("recorder")
        self.recorder += grant("*")
        self.login = ("recorder", password)
        self.users, self.fleet = "", fleet
        self.visitor = Camera("visitor", fleet.spare[0])
        self.mover = Camera("mover", fleet.spare[0])
        self.cameras = [*fleet.cameras, self.mover]

    def text(self):
        # A reader's own machine may stand still for a while: that is no loss of the gateway's.
        rings = '[rings]\nreader_lag = "10s"\n'
        return rings + self.recorder + self.users + "".join(camera.toml() for camera in self.cameras)


class Reloads:
    """Writes the file anew and sends SIGHUP, one change after the other."""

    def __init__(self, gateway, configuration, findings):
        self.gateway, self.configuration, self.findings = gateway, configuration, findings
        whole = gateway.config.read_text()
        self.head = whole.removesuffix(configuration.text())
        self.changing, self.count, self.faulty, self.visit = False, 0, 0, None
        self.guest, self.guest_password = secret("guest")

    def cameras(self):
        return None if self.changing else list(self.configuration.cameras)

    async def run(self, done):
        steps = [
            self.nothing_changes, self.a_camera_comes, self.a_file_with_faults, self.a_camera_goes,
            self.a_user_comes, self.a_grant_changes, self.a_user_goes, self.a_camera_moves,
        ]
        while not done.is_set():
            for step in steps:
                try:
                    await step()
                except (Refused, OSError, TimeoutError) as error:
                    self.findings.add("reload", f"{step.__name__}: {error!r}")
                if await over(done, 5):
                    break
        await self.as_at_first()

    async def as_at_first(self):
        if self.visit:
            self.visit.vanish()
        self.configuration.users = ""
        self.configuration.cameras = [c for c in self.configuration.cameras if c is not self.configuration.visitor]
        await self.reload()

    # ---- Steps --------------------------------------------------------------------------------

    async def nothing_changes(self):
        await self.reload()

    async def a_file_with_faults(self):
        await self.reload("[[camera]]\nname = 'Not A Name'\n", outcome="Refused")
        self.faulty += 1
        self.expect(self.visit and not self.visit.ended.done(), "a file with faults ended a reader")

    async def a_camera_comes(self):
        visitor = self.configuration.visitor
        self.configuration.cameras.append(visitor)
        await self.reload()
        visitor.plays(IN_FORCE)
        self.visit = await self.plays(visitor, self.configuration.login)

    async def a_camera_goes(self):
        self.configuration.cameras.remove(self.configuration.visitor)
        await self.reload()
        await self.ends(self.visit)
        await self.is_refused(self.configuration.visitor, self.configuration.login, 404)

    async def a_user_comes(self):
        first, second, *_ = self.configuration.cameras
        # After some rounds, an account that does not exist has failed often enough to wait.
        await self.is_refused(first, self.guest_login, 401, 503)
        self.configuration.users = self.guest + grant(f"{first.name}/*")
        await self.reload()
        self.visit = await self.plays(first, self.guest_login)
        await self.is_refused(second, self.guest_login, 403, 404)

    async def a_grant_changes(self):
        first, second, *_ = self.configuration.cameras
        self.configuration.users = self.guest + grant(f"{second.name}/*")
        await self.reload()
        await self.ends(self.visit)
        await self.is_refused(first, self.guest_login, 403, 404)
        self.visit = await self.plays(second, self.guest_login)

    async def a_user_goes(self):
        self.configuration.users = ""
        await self.reload()
        await self.ends(self.visit)

    async def a_camera_moves(self):
        mover, ports = self.configuration.mover, self.configuration.fleet.spare
        mover.flickers(IN_FORCE)
        mover.port = ports[1 - ports.index(mover.port)]
        await self.reload()
        mover.flickers(IN_FORCE)
        reader = await self.plays(mover, self.configuration.login)
        await reader.leave()

    # ---- Means --------------------------------------------------------------------------------

    @property
    def guest_login(self):
        return "guest", self.guest_password

    async def reload(self, text=None, outcome="Applied"):
        before, self.changing = await self.counted(outcome), True
        self.gateway.config.write_text(self.head + (text or self.configuration.text()))
        self.gateway.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + IN_FORCE
        while await self.counted(outcome) == before:
            if time.monotonic() > deadline:
                raise TimeoutError(f"no reload was {outcome}")
            await asyncio.sleep(0.1)
        self.changing, self.count = False, self.count + 1

    async def counted(self, outcome):
        page = Page(await asyncio.to_thread(self.gateway.page, "/metrics"))
        return page.get("config_reloads_total", outcome=outcome)

    async def plays(self, camera, login):
        reader = Reader(camera, self.findings.add)
        await reader.open(self.gateway, *login)
        deadline = time.monotonic() + IN_FORCE
        while reader.pictures < 10:
            if time.monotonic() > deadline or reader.ended.done():
                reader.vanish()
                raise TimeoutError(f"{camera.stream} gave {reader.pictures} pictures")
            await asyncio.sleep(0.1)
        return reader

    async def ends(self, reader):
        """The gateway ends what may no longer be."""
        if not reader:
            return  # It never came to play, and that was said.
        try:
            await asyncio.wait_for(asyncio.shield(reader.ended), IN_FORCE)
        except TimeoutError:
            self.findings.add("reload", f"a reader of {reader.camera.stream} plays on without a right to")
        reader.vanish()

    async def is_refused(self, camera, login, *statuses):
        reader = Reader(camera, self.findings.add)
        try:
            await reader.open(self.gateway, *login)
            self.findings.add("reload", f"{login[0]} was given {camera.stream}")
        except Refused as refused:
            self.expect(refused.status in statuses, f"{login[0]} was answered {refused.status} for {camera.stream}")
        reader.vanish()

    def expect(self, holds, text):
        if not holds:
            self.findings.add("reload", text)
