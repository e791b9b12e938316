"""The Dockerfile, carried out by hand where there is no container engine.

The base image is this machine: each stage is an overlay over its root directory, seen by ``chroot``. So ``RUN`` runs
with the paths that it names, ``COPY`` brings what ``.dockerignore`` lets through, and what the entrypoint finds is what
the steps have made. Only packages of the base's distribution are not installed: the compiler has to be here.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.acceptance.daemon_process import PROJECT, wait_for
from tests.acceptance.monitoring import answers, free_port
from tests.dockerfile import Instruction, ignored, instructions

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_200)]
STEP_SECONDS = 600  # pip downloads 100 MB


class Stage:
    """One stage of the build.

    Args:
        directory: where its changes lie.
        context: what is copied from.
        previous: the stage that ``--from=build`` names.
        arguments: of the build.
    """

    def __init__(self, directory: Path, context: Path, previous: Stage | None, **arguments: str) -> None:
        self._layers = [directory / name for name in ("changed", "work", "root")]
        for layer in self._layers:
            layer.mkdir(parents=True)
        self.root = self._layers[2]
        self._context = context
        self._previous = previous
        self._arguments = arguments
        self.environment = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/root"}
        self.directory = "/"
        self.user = "0:0"
        self.found: dict[str, Instruction] = {}

    def mount(self) -> None:
        """Put the overlay over the root directory, with the Python of the tests as that of the base image."""
        changed, work, root = self._layers
        options = f"lowerdir=/,upperdir={changed},workdir={work}"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, str(root)], check=True, capture_output=True)
        subprocess.run(["mount", "-t", "proc", "proc", str(root / "proc")], check=True)
        subprocess.run(["mount", "--rbind", "/dev", str(root / "dev")], check=True)
        subprocess.run(["mount", "--make-rslave", str(root / "dev")], check=True)
        (root / "usr/local/bin").mkdir(parents=True, exist_ok=True)
        python = root / "usr/local/bin/python"
        python.unlink(missing_ok=True)
        python.symlink_to(_base_python())

    def unmount(self) -> None:
        """Take it away again."""
        for place in ("dev", "proc", ""):
            subprocess.run(["umount", "--recursive", str(self.root / place)], check=True)

    def apply(self, step: Instruction) -> None:
        """Carry an instruction out, or remember it."""
        self.found[step.keyword] = step
        if step.keyword == "RUN" and "apt-get" not in step.text:
            self.run(["sh", "-c", step.text])
        elif step.keyword == "COPY":
            self._copy(step.words)
        elif step.keyword in ("ENV", "ARG"):
            for name, quoted, plain in re.findall(r'(\w+)=(?:"([^"]*)"|(\S+))', step.text):
                value = (quoted or plain).replace("$PATH", self.environment["PATH"])
                self.environment[name] = self._arguments.get(name, value) if step.keyword == "ARG" else value
        elif step.keyword == "WORKDIR":
            self.directory = step.text
            (self.root / step.text.lstrip("/")).mkdir(parents=True, exist_ok=True)
        elif step.keyword == "USER":
            self.user = step.text

    def command(self, arguments: list[str]) -> list[str]:
        """Return what runs a command inside, as the user of the stage."""
        enter = ["chroot", f"--userspec={self.user}", "--groups=", str(self.root), "env", f"--chdir={self.directory}"]
        return [*enter, *arguments]

    def run(self, arguments: list[str], **variables: str) -> str:
        """Run a command inside and return what it printed."""
        done = subprocess.run(
            self.command(arguments),
            env={**self.environment, **variables},
            capture_output=True,
            text=True,
            timeout=STEP_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _copy(self, words: list[str]) -> None:
        origin = self._context
        if words[0] == "--from=build":
            assert self._previous is not None
            origin, words = self._previous.root, words[1:]
        *sources, target = words
        into = self.root / (Path(self.directory) / target).as_posix().lstrip("/")
        for source in sources:
            found = origin / source.lstrip("/")
            if found.is_dir():
                shutil.copytree(found, into, symlinks=True, dirs_exist_ok=True)
            else:
                place = into / found.name if target.endswith("/") else into
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(found, place)


def _base_python() -> Path:
    """Return a Python that any user may run and that can make environments."""
    for name in ("/usr/bin/python3", sys._base_executable):
        found = Path(name).resolve()
        works = [str(found), "-c", "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))"]
        if found.exists() and subprocess.run(works, capture_output=True, check=False).returncode == 0:
            return found
    pytest.skip("no Python with its venv module (Debian: apt-get install python3-venv)")


def _context(directory: Path) -> Path:
    """Return what the builder gets: the files of the project that .dockerignore lets through."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    for name in listed.split("\0"):
        if name and (PROJECT / name).exists() and not ignored(name, PROJECT / ".dockerignore"):
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, directory / name)
    return directory


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The final stage, built with a PostgreSQL of its own, so that it can run."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount and chroot")
    directory = tmp_path_factory.mktemp("image")
    context = _context(directory / "context")
    stages: list[Stage] = []
    with ExitStack() as stack:
        for step in instructions(PROJECT / "Dockerfile"):
            if step.keyword == "FROM":
                previous = stages[-1] if stages else None
                stages.append(Stage(directory / f"stage-{len(stages)}", context, previous, EXTRAS="tail,embedded"))
                try:
                    stages[-1].mount()
                except subprocess.CalledProcessError as refusal:
                    pytest.skip(f"no overlay file system: {refusal.stderr.decode().strip()}")
                stack.callback(stages[-1].unmount)
            else:
                stages[-1].apply(step)
        yield stages[-1]


def test_the_image_runs_as_nobody_special_and_is_healthy(image: Stage, tmp_path: Path) -> None:
    port = free_port()
    variables = {
        "LOGSTREAMD_INPUTS": f'[{{type: tcp, listen: "127.0.0.1:{free_port()}"}}]',
        "LOGSTREAMD_HTTP__LISTEN": f"*:{port}",
        "LOGSTREAMD_URL": f"http://127.0.0.1:{port}",
    }
    command = image.found["ENTRYPOINT"].document() + image.found["CMD"].document()
    check = image.found["HEALTHCHECK"].text.partition(" CMD ")[2]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            image.command(command), env={**image.environment, **variables}, stdout=log, stderr=log
        )
        try:
            wait_for(
                "an end or /ready", lambda: process.poll() is not None or answers(f"http://127.0.0.1:{port}/ready")
            )
            assert process.poll() is None, (tmp_path / "log").read_text()
            status = Path(f"/proc/{process.pid}/status").read_text()
            assert re.search(r"^Uid:\s10001\s10001\s", status, re.MULTILINE)
            image.run(Instruction("CMD", check).document(), **variables)
        finally:
            process.terminate()
            assert process.wait(60) == 0
    with pytest.raises(AssertionError, match="Connection refused"):
        image.run(Instruction("CMD", check).document(), **variables)


def test_the_image_is_what_the_steps_have_made(image: Stage) -> None:
    code = "import logstreamd, generator, logstreamd.wire as w; print(logstreamd.__file__, w.IMPLEMENTATION)"
    assert re.fullmatch(
        r"/opt/logstreamd/lib/\S+/logstreamd/__init__.py compiled\n", image.run(["python", "-Ic", code])
    )
    assert image.run(["logstream-generate", "--count", "3", "--rate", "100", "--seed", "1"]).count("\n") == 3
    assert "ok: /etc/logstreamd/logstreamd.yaml" in image.run(["logstreamd", "check-config"])
    assert not list((image.root / "opt/logstreamd").glob("**/pip/__init__.py"))
    assert image.root.joinpath("logs").stat().st_uid == 10001


def test_the_web_service_runs_from_the_same_image(image: Stage) -> None:
    command = ["logstream-generate", "--scenario", "web-api", "--listen", "127.0.0.1:0", "--duration", "100ms"]
    image.run([*command, "--log-dir", "/logs"])
    assert {path.name for path in (image.root / "logs").iterdir()} == {"access.log", "error.log", "application.log"}
