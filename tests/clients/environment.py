"""Virtual environments for programs that come from the Python registry."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
WORK = HERE.parent.parent / "target" / "clients"


@contextmanager
def locked():
    """Keeps other runs out: several tests may prepare at once, and all of them share one target directory."""
    WORK.mkdir(parents=True, exist_ok=True)
    with open(WORK / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def prepare(name: str) -> Path:
    """The environment with exactly the packages of `<name>.txt`, made unless an earlier run did."""
    requirements, environment = HERE / f"{name}.txt", WORK / name
    wanted = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    stamp = environment / "requirements.sha256"
    if stamp.is_file() and stamp.read_text() == wanted:
        return environment
    shutil.rmtree(environment, ignore_errors=True)
    call([sys.executable, "-m", "venv", str(environment)])
    call([*pip(environment, "install"), "--no-deps", "--requirement", str(requirements)])
    # Because the dependencies are listed and not resolved, a missing one has to be noticed here.
    call(pip(environment, "check"))
    # The stamp is written last, so that an interrupted installation is done again.
    stamp.write_text(wanted)
    return environment


def pip(environment: Path, command: str) -> list:
    """The command line of pip in an environment."""
    return [str(environment / "bin" / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check", command]


def call(command: list, **options: object) -> None:
    """Runs a command, and ends with it if it fails. Standard output stays reserved for reports."""
    done = subprocess.run(command, stdout=sys.stderr, stdin=subprocess.DEVNULL, **options)
    if done.returncode != 0:
        sys.exit(f"`{' '.join(map(str, command))}` failed with exit code {done.returncode}")


def without_proxy() -> dict:
    """The variables of a program that talks to this machine only."""
    hidden = ("http_proxy", "https_proxy", "all_proxy")
    return {name: value for name, value in os.environ.items() if name.lower() not in hidden}
