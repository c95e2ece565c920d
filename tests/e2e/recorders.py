"""Video recorders that we did not write, run as their owners would: they store for a while, and what they stored is read."""
import dataclasses
import getpass
import os
import pathlib
import re
import shutil
import tempfile
import time

import av
import cv2
import numpy

import barcode
import peers

CAMERA_CONF = peers.ROOT / "docs/clients/motion-camera.conf"
FPS = 25
ZM_SCHEMA = pathlib.Path("/usr/share/zoneminder/db/zm_create.sql")


@dataclasses.dataclass
class Recording:
    """What a recorder stored of one stream: the film's picture numbers and sound, the stills' numbers; what its log regrets."""

    film: list
    sound: numpy.ndarray
    stills: list
    complaints: list


class Recorder:
    """`processes` are those that record; they end with the test. `stored(name)`: the stills of one a second so far."""

    processes = ()

    def cpu_seconds(self):
        """What the recording processes have used so far; they must run."""
        used = 0
        for process in self.processes:
            assert process.alive(), process.said()
            fields = pathlib.Path(f"/proc/{process.process.pid}/stat").read_text().rpartition(")")[2].split()
            used += int(fields[11]) + int(fields[12])
        return used / os.sysconf("SC_CLK_TCK")

    def stop(self):
        for process in self.processes:
            process.stop()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.__exit__()


class Motion(Recorder):
    """One process for all its streams, each set up by docs/clients/motion-camera.conf."""

    def __init__(self, work, streams):
        self.folder, self.names = work / "motion", list(streams)
        self.folder.mkdir()
        self.log = self.folder / "log"
        cameras = [self.camera(number, access) for number, access in enumerate(streams.values(), 1)]
        main = self.folder / "motion.conf"
        main.write_text(
            f"daemon off\nsetup_mode off\nlog_file {self.log}\nlog_level 6\nwebcontrol_port 0\nstream_port 0\n"
            + "".join(f"camera {camera}\n" for camera in cameras)
        )
        self.processes = [peers.Process("motion", "-n", "-c", main)]

    def camera(self, number, access):
        """The example, with this camera's values."""
        text = CAMERA_CONF.read_text()
        values = {
            "netcam_url": access.url,
            "netcam_userpass": ":".join(access.login),
            "netcam_params": f"rtsp_transport={access.transport}",
        }
        for key, value in values.items():
            text, count = re.subn(f"(?m)^{key} .*$", f"{key} {value}", text)
            assert count == 1, key
        path = self.folder / f"camera-{number}.conf"
        path.write_text(f"{text}camera_id {number}\ntarget_dir {self.of(number)}\n")
        return path

    def of(self, number):
        return self.folder / str(number)

    def stored(self, name):
        return sorted(self.of(self.names.index(name) + 1).glob("*-snapshot.jpg"))

    def recording(self, name):
        (film,) = self.of(self.names.index(name) + 1).glob("*.mp4")
        log = self.log.read_text()
        complaints = [line for line in log.splitlines() if re.search(r"\[(EMG|ALR|CRT|ERR|WRN)\]|[Rr]econnect", line)]
        if log.count(" connected") != len(self.names):
            complaints.append("it connected more than once")
        return Recording(*decode(film), read_stills(self.stored(name)), complaints)


class ZoneMinder(Recorder):
    """One `zmc` for each stream, with a MariaDB of its own that listens on a socket in its folder and nowhere else.

    `zmc` reads nothing but /etc/zm: a mount namespace puts a folder of the test's in that place.
    """

    def __init__(self, _work, streams):
        # A Unix socket's name and ZoneMinder's column for the folder are short.
        self.folder, self.names = pathlib.Path(tempfile.mkdtemp(prefix="camlock-zm-")), list(streams)
        for name in ("etc/conf.d", "events", "map", "run", "log", "tmp"):
            (self.folder / name).mkdir(parents=True)
        self.socket = self.folder / "db.sock"
        self.database = self.start_database()
        self.sql(f"CREATE DATABASE zm; USE zm; {ZM_SCHEMA.read_text()}", database=None)
        self.sql(f"UPDATE Storage SET Path = '{self.folder}/events'")
        for access in streams.values():
            self.sql(self.monitor(access))
        (self.folder / "etc/zm.conf").write_text(
            f"ZM_DB_TYPE=mysql\nZM_DB_HOST=localhost:{self.socket}\nZM_DB_NAME=zm\nZM_DB_USER=root\nZM_DB_PASS=\n"
            f"ZM_DIR_EVENTS={self.folder}/events\nZM_PATH_MAP={self.folder}/map\nZM_PATH_SOCKS={self.folder}/run\n"
            f"ZM_PATH_LOGS={self.folder}/log\nZM_PATH_SWAP={self.folder}/tmp\nZM_PATH_WEB=/usr/share/zoneminder/www\n"
        )
        own_etc = f"mount --bind {self.folder}/etc /etc/zm && exec zmc -m "
        self.processes = [
            peers.Process("unshare", "--mount", "--map-root-user", "sh", "-c", own_etc + str(number))
            for number in range(1, len(streams) + 1)
        ]

    def start_database(self):
        data, user = self.folder / "db", getpass.getuser()
        made = peers.run(
            "mariadb-install-db", "--no-defaults", f"--datadir={data}", f"--user={user}",
            "--auth-root-authentication-method=normal", "--skip-test-db",
        )
        assert made.returncode == 0, made.stderr.decode()
        database = peers.Process(
            "mariadbd", "--no-defaults", f"--datadir={data}", f"--socket={self.socket}", f"--user={user}",
            "--skip-networking", "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=32M",
        )
        deadline = time.monotonic() + 20
        while peers.run("mariadb-admin", "--no-defaults", "-S", self.socket, "-u", "root", "ping").returncode != 0:
            assert database.alive() and time.monotonic() < deadline, database.said()
            time.sleep(0.1)
        return database

    def sql(self, statement, database="zm"):
        """Runs a statement; the rows as lists of texts."""
        where = [database] if database else []
        command = ["mariadb", "--no-defaults", "-S", self.socket, "-u", "root", "--batch", "--skip-column-names", *where]
        done = peers.run(*command, input=statement.encode())
        assert done.returncode == 0, done.stderr.decode()
        return [line.split("\t") for line in done.stdout.decode().splitlines()]

    @staticmethod
    def monitor(access):
        """What docs/clients/README.md says to enter. The columns without a default of use are the web page's."""
        values = {
            "Name": "door", "Type": "Ffmpeg", "Function": "Record", "Method": "rtpRtsp", "Path": access.url_with_login,
            "Width": peers.WIDTH, "Height": peers.HEIGHT, "Colours": 4, "SaveJPEGs": 1, "VideoWriter": 2,
            "OutputContainer": "mp4", "RecordAudio": 1, "StorageId": 1,
        }
        columns = ", ".join(f"`{name}`" for name in values)
        return f"INSERT INTO Monitors ({columns}) VALUES ({', '.join(repr(value) for value in values.values())})"

    def stop(self):
        # Before: it takes the end of a read that its own end cuts short for a fault.
        self.complaints = self.sql("SELECT Component, Code, Message FROM Logs WHERE Level < 0")
        super().stop()

    def stored(self, name):
        # It stores every picture.
        number = self.names.index(name) + 1
        return sorted(self.folder.glob(f"events/{number}/*/*/*-capture.jpg"))[::FPS]

    def recording(self, name):
        number = self.names.index(name) + 1
        (event,) = (self.folder / f"events/{number}").glob("*/*")
        (film,) = event.glob("*.mp4")
        complaints = [" ".join(rest) for component, *rest in self.complaints if component == f"zmc_m{number}"]
        return Recording(*decode(film), read_stills(self.stored(name)), complaints)

    def __exit__(self, *what):
        super().__exit__(*what)
        self.database.__exit__()
        shutil.rmtree(self.folder)


def decode(film):
    """The numbers of a film's pictures, and its sound as 16-bit mono samples."""
    with av.open(str(film)) as container:
        numbers = [barcode.read_number(frame.to_ndarray(format="gray")) for frame in container.decode(video=0)]
    sound = [numpy.zeros(0, "<i2")]
    with av.open(str(film)) as container:
        s16 = av.AudioResampler(format="s16", layout="mono")
        for frame in container.decode(*container.streams.audio[:1]) if container.streams.audio else ():
            sound += [part.to_ndarray().ravel() for part in s16.resample(frame)]
    return numbers, numpy.concatenate(sound)


def read_stills(paths):
    return [barcode.read_number(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)) for path in paths]


RECORDERS = {"motion": Motion, "ZoneMinder": ZoneMinder}
