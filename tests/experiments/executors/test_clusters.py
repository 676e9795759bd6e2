"""Sweeps on a Slurm and on a Ray of two nodes each, one of which is lost in the middle: no mock."""

import shutil
import signal
import tempfile
import time
from functools import cache
from pathlib import Path

import pytest

import slurm_cluster
from memhorizon.datasets.split import DataConfig
from memhorizon.experiments.config import Config
from memhorizon.experiments.executors import Inline, Ray, Slurm
from memhorizon.experiments.executors.table import rows_in
from memhorizon.experiments.run_directory import RunDir
from memhorizon.experiments.sweep import execute_sweep, grid
from memhorizon.files.plain import read_object
from memhorizon.measure.config import MeasureConfig
from memhorizon.networks.mlp import MLPConfig
from memhorizon.sweeps import sweep
from memhorizon.training import TrainConfig
from slurm_cluster import send

BASE = Config(
    data=DataConfig(name="gaussian", dim=2, n_holdout=0),
    model=MLPConfig(width=8, blocks=1),
    train=TrainConfig(batch_size=4),
    measure=MeasureConfig(snapshots=3, first=10, n_samples=8, repeats=1, diffusion_times=(0.1,)),
)
LENGTH = 3000  # of four rows, which begin first, two on each node; a short one waits behind them
CONFIGS = [
    config
    for length, seeds in ((LENGTH, range(4)), (40, range(4, 5)))
    for config in grid(BASE, **{"train.n_updates": (length,)}, seed=seeds)
]
LONG = [config.key for config in CONFIGS[:4]]
BOUND = 240  # seconds until a sweep that does not end has failed; on a free machine it takes 30


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """The folder of the same sweep in this process, which is made when it is asked for."""

    @cache
    def made():
        root = tmp_path_factory.mktemp("local")
        sweep(CONFIGS, root=root, executor=Inline())
        return root

    return made


@pytest.fixture
def slurm(monkeypatch):
    reason = slurm_cluster.why_not()
    if reason:
        pytest.skip(f"a Slurm of two nodes {reason}")
    pytest.importorskip("submitit")
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))  # short: a socket is in it
    folder.chmod(0o755)
    try:
        with slurm_cluster.cluster(folder) as made:
            monkeypatch.setenv("SLURM_CONF", str(made.configuration))
            yield made
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def ray(monkeypatch):
    """A Ray of two nodes on this machine, which listens on the loopback interface alone."""
    settings = {"AUTH_MODE": "disabled", "USAGE_STATS_ENABLED": "0", "ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
    settings["ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # else it takes the address that others reach
    for name, value in settings.items():
        monkeypatch.setenv(f"RAY_{name}", value)
    utils = pytest.importorskip("ray.cluster_utils")
    node = {"num_cpus": 2, "node_ip_address": "127.0.0.1", "object_store_memory": 100 * 2**20}
    made = utils.Cluster()
    try:
        made.add_node(**node, include_dashboard=False)
        made.second = made.add_node(**node)
        yield made
    finally:
        made.shutdown()


def contents(root):
    """What the runs left that depends on no machine: weights, measures, samples, the last state."""
    files = [
        path
        for config in CONFIGS
        for pattern in ("measures.jsonl", "snapshots/*", "samples/*")
        for path in sorted((root / config.key).glob(pattern))
    ]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def until(events, happened):
    """Follow a sweep until something has happened."""
    last = time.monotonic() + BOUND
    for _ in events:
        if happened():
            return
        assert time.monotonic() < last
    pytest.fail("the sweep ended before")


def to_the_end(events):
    """Follow a sweep to its end."""
    last = time.monotonic() + BOUND
    for _ in events:
        assert time.monotonic() < last


def assert_complete_and_equal(root, local):
    """All rows are done, one time each, with the bytes of the local sweep."""
    rows = rows_in(root)
    assert set(rows) == {config.key for config in CONFIGS}
    for row in rows.values():
        assert row.state == "done"
        assert [attempt.ended for attempt in row.attempts].count("done") == 1
    assert contents(root) == contents(local())


def at_work(root):
    """The long rows that have begun and are far from their end, however slow the machine is to answer."""
    rows = rows_in(root)
    running = [key for key in LONG if key in rows and rows[key].state == "running"]
    return [key for key in running if 0 < RunDir(root / key).last_step() < 0.4 * LENGTH]


def test_a_slurm_that_loses_a_node(slurm, local, tmp_path):
    def task(key):
        return read_object(tmp_path / "rows" / key / "slurm.json")["task"]

    def at_work_on(node):
        there = slurm.ask("squeue", "-h", "--array", "-w", node, "-o", "%i").split()
        return [key for key in at_work(tmp_path) if task(key) in there]

    def nodes_at_work():
        return all(at_work_on(node) for node in slurm_cluster.NODES)

    def loses_a_node():
        if not nodes_at_work():
            return False
        with slurm.frozen():  # else a task may end before it is told to
            if not nodes_at_work():
                return False
            kept.extend(at_work_on("n1")[:1])
            lost.extend(at_work_on("n2"))
            slurm.ask("scancel", "--signal=USR2", f"{task(kept[0])}.0")  # as Slurm does before a time limit
            slurm.lose("n2")
        return True

    kept = []
    lost = []
    executor = Slurm(time="1h", poll=0.1)
    events = execute_sweep(CONFIGS, root=tmp_path, executor=executor)
    until(events, loses_a_node)
    tasks = [task(key) for key in LONG]
    events.close()  # the command is interrupted
    to_the_end(execute_sweep(CONFIGS, root=tmp_path, executor=executor))  # and given again
    assert_complete_and_equal(tmp_path, local)
    rows = rows_in(tmp_path)
    assert {key: rows[key].n_lost for key in lost} == dict.fromkeys(lost, 1)
    assert [attempt.ended for attempt in rows[kept[0]].attempts] == ["stopped", "done"]
    assert [task(key) for key in LONG] == tasks  # Slurm itself put them back: nothing was submitted twice


@pytest.mark.filterwarnings("ignore")  # of Ray and of what it starts
def test_a_ray_that_loses_a_node(ray, local, tmp_path):
    raylet = ray.second.all_processes["raylet"][0].process.pid
    events = execute_sweep(CONFIGS, root=tmp_path, executor=Ray(address=ray.address, poll=0.1))

    def on_the_second():
        rows = rows_in(tmp_path)
        return {key: rows[key].attempts[-1].pid for key in at_work(tmp_path) if parent(rows[key]) == raylet}

    def loses_it():
        workers = on_the_second()
        send(signal.SIGSTOP, workers.values())  # else a run may end before its node is lost
        lost.extend(workers.keys() & on_the_second().keys())
        if lost:
            ray.remove_node(ray.second, allow_graceful=False)
        send(signal.SIGKILL if lost else signal.SIGCONT, workers.values())
        return bool(lost)

    lost = []
    until(events, loses_it)
    to_the_end(events)
    assert_complete_and_equal(tmp_path, local)
    rows = rows_in(tmp_path)
    assert {key: rows[key].n_lost for key in lost} == dict.fromkeys(lost, 1)


def parent(row):
    """The process that started the worker at a row; None where that is gone."""
    try:
        return int(Path(f"/proc/{row.attempts[-1].pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
        return None
