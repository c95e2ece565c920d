"""The virtual machine's parts: qemu, a Debian root and a disk made of it. Nothing is installed on this machine.

qemu's packages are unpacked into the cache (to install them would take qemu-utils away where that is installed); the
root is made by mmdebstrap once, and kept.
"""
import hashlib
import os
import pathlib
import shutil
import subprocess

SUITE = "bookworm"
MIRROR = "http://deb.debian.org/debian"
PACKAGES = (
    "systemd-sysv,udev,dbus,kmod,passwd,procps,init-system-helpers,iproute2,nftables,netbase,dnsmasq-base,"
    "linux-image-cloud-amd64,python3"
)
DISK = "1200M"
HERE = pathlib.Path(__file__).resolve().parent


def call(*command, **options):
    subprocess.run([str(word) for word in command], check=True, **options)


class Cache:
    """What is made once: `qemu` (a tree), `root` (a tar)."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.qemu = folder / "qemu"
        key = hashlib.sha256(f"{SUITE} {PACKAGES}".encode()).hexdigest()[:12]
        self.root = folder / f"root-{key}.tar"

    def fill(self):
        if not (self.qemu / "usr/bin/qemu-system-x86_64").exists():
            self.unpack_qemu()
        if not self.root.exists():
            self.make_root()

    def unpack_qemu(self):
        debs = self.folder / "debs"
        shutil.rmtree(self.qemu, ignore_errors=True)
        (debs / "partial").mkdir(parents=True, exist_ok=True)
        # Of what is installed here already the libraries are this machine's own.
        call(
            "apt-get", "install", "--download-only", "--no-install-recommends", "-y", "-qq",
            "-o", f"Dir::Cache::archives={debs}", "qemu-system-x86", stdout=subprocess.DEVNULL,
        )
        for deb in sorted(debs.glob("*.deb")):
            call("dpkg-deb", "-x", deb, self.qemu)

    def make_root(self):
        fresh = self.root.with_suffix(".new.tar")
        excluded = [f"--dpkgopt=path-exclude=/usr/share/{what}/*" for what in ("doc", "man", "locale")]
        call(
            "mmdebstrap", "--quiet", "--variant=minbase", *excluded, f"--include={PACKAGES}", SUITE, fresh, MIRROR,
        )
        fresh.rename(self.root)

    def qemu_command(self):
        """Command and environment."""
        libraries = ":".join(str(self.qemu / place) for place in ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"))
        data = [word for place in ("qemu", "seabios") for word in ("-L", str(self.qemu / "usr/share" / place))]
        command = [str(self.qemu / "usr/bin/qemu-system-x86_64"), *data]
        return command, os.environ | {"LD_LIBRARY_PATH": libraries}


# eth0 is the way out. Whatever else there is gets an address by itself, as on many boxes: unless the package's own
# files keep it off.
FILES = {
    "etc/hostname": "box\n",
    "etc/systemd/network/20-out.network": (
        "[Match]\nName=eth0\n[Network]\nAddress=192.0.2.2/24\nGateway=192.0.2.1\nIPv6AcceptRA=no\n"
    ),
    "etc/systemd/network/90-any.network": "[Match]\nName=eth*\n[Network]\nDHCP=yes\nLinkLocalAddressing=yes\n",
    "etc/systemd/system/agent.service": (
        "[Unit]\nDefaultDependencies=no\nAfter=systemd-udevd.service local-fs.target\nStartLimitIntervalSec=0\n"
        "[Service]\nExecStart=/usr/bin/python3 -u /root/agent.py\nRestart=always\nRestartSec=100ms\n"
        "StandardError=journal+console\n[Install]\nWantedBy=sysinit.target\n"
    ),
    "etc/fstab": "/dev/vda / ext4 defaults 0 1\n",
}
LINKS = {
    "etc/systemd/system/sysinit.target.wants/agent.service": "../agent.service",
    "etc/systemd/system/multi-user.target.wants/systemd-networkd.service": "/lib/systemd/system/systemd-networkd.service",
    "etc/systemd/system/systemd-networkd-wait-online.service": "/dev/null",
    "etc/systemd/system/apt-daily.timer": "/dev/null",
    "etc/systemd/system/apt-daily-upgrade.timer": "/dev/null",
    "etc/systemd/system/e2scrub_all.timer": "/dev/null",
    "etc/systemd/system/fstrim.timer": "/dev/null",
}


def make_disk(cache, work, packages):
    """Disk, kernel and initrd of a fresh machine that has these packages lying in /root."""
    tree, disk = work / "root", work / "disk.img"
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    call("tar", "-C", tree, "--exclude=./dev/*", "-xf", cache.root)
    for path, text in FILES.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text)
    for path, target in LINKS.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).symlink_to(target)
    shutil.copy(HERE / "agent.py", tree / "root/agent.py")
    for package in packages:
        shutil.copy(package, tree / "root" / package.name)
    kernel, initrd = next((tree / "boot").glob("vmlinuz-*")), next((tree / "boot").glob("initrd.img-*"))
    shutil.copy(kernel, work / "kernel")
    shutil.copy(initrd, work / "initrd")
    disk.unlink(missing_ok=True)
    call("mke2fs", "-q", "-t", "ext4", "-E", "lazy_itable_init=1,lazy_journal_init=1", "-d", tree, disk, DISK)
    shutil.rmtree(tree)
    return disk
