"""A Slurm of two nodes on this machine, made by a test from Debian's packages: slurm-wlm and munge.

Everything listens on the loopback interface alone, and all of it ends with the block.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "srun", "sbatch", "squeue", "scontrol", "setpriv")
NODES = ("n1", "n2")
CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_min_interval=0,sched_interval=1,bf_interval=1,batch_sched_delay=0
ReturnToService=2
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SlurmdParameters=config_overrides
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2 RealMemory=4000
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2 RealMemory=4000
PartitionName=cpu Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def why_not():
    """Why no Slurm can be made here; empty where one can."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        return f"needs {', '.join(missing)} (Debian: apt-get install slurm-wlm munge)"
    return "" if os.geteuid() == 0 else "needs root: slurmd starts tasks for others"


class Cluster:
    """Two nodes, n1 and n2; made by `cluster`."""

    def __init__(self, folder):
        self.folder = folder
        self.configuration = folder / "slurm.conf"
        self.daemons = {}

    def start(self):
        folder = self.folder
        (folder / "state").mkdir(mode=0o700)
        key = folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(1024))
        place = {name: folder / f"munge.{name}" for name in ("socket", "pid", "log", "seed")}
        options = [f"--{name}-file={place[name]}" for name in ("pid", "log", "seed")]
        self._run(
            "munged", "--foreground", "--force", f"--socket={place['socket']}", f"--key-file={key}", *options
        )
        wait_for(place["socket"].exists, "munged")
        text = CONFIGURATION.format(
            folder=folder, host=socket.gethostname().split(".")[0], ports=free_ports(3)
        )
        self.configuration.write_text(text)
        self._run("slurmctld", "-D", "-f", self.configuration)
        for node in NODES:
            self._run("slurmd", "-D", "-f", self.configuration, "-N", node, name=node)
        wait_for(lambda: self.ask("sinfo", "-N", "-h", "-o", "%t").split() == ["idle", "idle"], "both nodes")

    def _run(self, *command, name=""):
        """Start a daemon that the system kills with this process."""
        with (self.folder / "daemons.log").open("ab") as log:
            self.daemons[name or command[0]] = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *command], stdout=log, stderr=log, env=self.environment()
            )

    def environment(self):
        return os.environ | {"SLURM_CONF": str(self.configuration)}

    def ask(self, *command):
        """What a command of Slurm prints."""
        told = subprocess.run(command, env=self.environment(), capture_output=True, text=True, check=False)
        return told.stdout

    @contextmanager
    def frozen(self):
        """Hold the tasks of both nodes where they are, so that none ends within this block."""
        held = [process for node in NODES for process in self._processes(f"SLURMD_NODENAME={node}")[1]]
        send(signal.SIGSTOP, held)
        try:
            yield
        finally:
            send(signal.SIGCONT, held)

    def lose(self, node):
        """Kill all that runs on a node, as if it had no power any more, and tell Slurm."""
        steps, others = self._processes(f"SLURMD_NODENAME={node}")
        reporters = [self.daemons[node].pid, *steps]  # of the end of a task: they go first
        send(signal.SIGKILL, [*reporters, *others])
        self.daemons[node].wait()
        self.ask("scontrol", "update", f"nodename={node}", "state=down", "reason=lost")

    def stop(self):
        """End everything, the tasks included."""
        for daemon in self.daemons.values():
            daemon.kill()
            daemon.wait()
        steps, others = self._processes(f"SLURM_CONF={self.configuration}")
        send(signal.SIGKILL, [*steps, *others])

    def _processes(self, variable):
        """The processes of this user in whose environment a variable is, and the slurmstepd above them."""
        steps = set()
        others = set()
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if variable.encode() not in (folder / "environ").read_bytes().split(b"\0"):
                    continue
                if int(folder.name) == os.getpid():
                    continue
                others.add(int(folder.name))
                parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
                if (Path("/proc") / str(parent) / "comm").read_text().startswith("slurmstepd"):
                    steps.add(parent)
        return steps, others - steps


@contextmanager
def cluster(folder):
    """A Slurm in a folder whose path is short enough for a socket."""
    made = Cluster(folder)
    try:
        made.start()
        yield made
    finally:
        made.stop()


def free_ports(count):
    """Ports of the loopback interface that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def send(number, processes):
    """Send a signal to those processes that still live."""
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, number)


def wait_for(happened, what, seconds=60):
    last = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < last, f"{what} did not come up"
        time.sleep(0.1)
