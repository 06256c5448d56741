# SPDX-License-Identifier: Apache-2.0
"""The files of docs/ci.md are run, step by step, in a repository that holds the tutorial's driver and nothing else.

What the services do themselves is played: a checkout is there, a cache is restored (the parts of this machine's), the
environment goes from step to step. apt as root changes nothing: it is asked whether it could install what is named.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from plx9x5x.lab.toolchain import KERNEL_SERIES, load
from tests import pages

pytestmark = [pytest.mark.guest, pytest.mark.timeout(1200)]

PAGE = pages.ROOT / "docs" / "ci.md"
GITHUB, GITLAB = ".github/workflows/driver.yml", ".gitlab-ci.yml"
NOT_SOURCES = shutil.ignore_patterns(".git", ".venv", "__pycache__", "*.so", ".*_cache", ".hypothesis", "build", "dist")


@dataclass(frozen=True)
class Part:
    """Commands that one shell runs; `always` though an earlier one failed."""

    commands: str
    always: bool = False


@dataclass
class Job:
    """A job as its service would run it, in `folder`; `again` is what is due once only the driver has changed."""

    folder: Path
    parts: list[Part]
    again: list[Part]
    env: dict[str, str]
    cached: str
    kept: str
    said: list[str] = field(default_factory=list)

    def run(self, parts: list[Part]) -> int:
        """Give the status of the first part that failed; those after it run if they always do."""
        failed = 0
        for part in parts:
            if failed and not part.always:
                continue
            done = pages.shell(part.commands, self.folder, self._environment())
            self.said.append(f"{part.commands}{done.stdout}{done.stderr}")
            failed = failed or done.returncode
        return failed

    def _environment(self) -> dict[str, str]:
        """What the steps so far have put into GitHub's files."""
        lines = (self.folder.parent / "env").read_text(encoding="utf-8").splitlines()
        paths = (self.folder.parent / "path").read_text(encoding="utf-8").splitlines()
        words = dict(line.split("=", 1) for line in lines)
        return {**self.env, **words, "PATH": ":".join([*reversed(paths), os.environ["PATH"]])}


def without_apt(commands: str) -> str:
    """Leave the host as it is: as root see that apt would do it, otherwise skip the line."""
    if os.geteuid() == 0:
        return commands.replace("apt-get install ", "apt-get install --simulate ")
    return re.sub(r"^apt-get .*$", "true", commands, flags=re.MULTILINE)


def github(text: str, env: Mapping[str, str], folder: Path) -> Job:
    page: dict[str, Any] = yaml.safe_load(text)
    assert set(page[True]) == {"push", "pull_request"}  # YAML takes `on` for a truth
    (job,) = page["jobs"].values()
    given = {step["uses"].partition("@")[0]: step["with"] for step in job["steps"] if "with" in step}
    assert given["actions/cache/restore"] == given["actions/cache/save"]
    runs = [step for step in job["steps"] if "run" in step]
    parts = [Part(without_apt(step["run"]), always="cancelled()" in step.get("if", "")) for step in runs]
    return Job(
        folder,
        parts,
        parts[[step["name"] for step in runs].index("Try the driver") :],
        {**page["env"], **env, **{f"GITHUB_{name.upper()}": str(folder.parent / name) for name in ("env", "path")}},
        given["actions/cache/restore"]["path"],
        given["actions/upload-artifact"]["path"],
    )


def gitlab(text: str, env: Mapping[str, str], folder: Path) -> Job:
    (job,) = yaml.safe_load(text).values()
    (cached,), (kept,) = job["cache"]["paths"], job["artifacts"]["paths"]
    assert job["artifacts"]["when"] == "always"
    set_up, script = map(without_apt, job["before_script"]), job["script"]
    known = {name: value.replace("$CI_PROJECT_DIR", str(folder)) for name, value in job["variables"].items()}
    after = Part("\n".join(job["after_script"]), always=True)
    parts = [Part("\n".join([*set_up, *script])), after]
    again = [Part("\n".join([". .venv/bin/activate", *script])), after]
    return Job(folder, parts, again, {**known, **env}, cached, kept)


SERVICES = {GITHUB: github, GITLAB: gitlab}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> str:
    """This checkout as a git repository of its own, as it is now; its URL."""
    copy = tmp_path_factory.mktemp("project") / "plx9x5x.git"
    shutil.copytree(pages.ROOT, copy, ignore=NOT_SOURCES)
    who = ["-c", "user.name=nobody", "-c", "user.email=nobody@localhost"]
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], [*who, "commit", "-q", "-m", "as it is"]):
        subprocess.run(["git", *words], cwd=copy, check=True)
    return f"file://localhost{copy}"


@pytest.fixture(scope="module", params=SERVICES)
def job(request: pytest.FixtureRequest, project: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Job]:
    """The job of one file, before it has run."""
    folder = tmp_path_factory.mktemp("ci") / "repository"
    folder.mkdir()
    pages.driver_of_the_tutorial(folder)
    pages.write_files(PAGE, folder)
    for name in ("env", "path"):
        (folder.parent / name).touch()
    job = SERVICES[request.param]((folder / request.param).read_text("utf-8"), {"PLX9X5X_URL": project}, folder)
    for series in KERNEL_SERIES:
        shared = load(kernel=series).cache
    (folder / job.cached).mkdir(parents=True)
    (folder / job.cached / "parts").symlink_to(shared / "parts")
    return job


@pytest.fixture(scope="module")
def passed(job: Job) -> Job:
    """The same, once it has run to its end with the right driver."""
    assert job.run(job.parts) == 0, job.said[-2:]
    return job


def test_each_artefact_that_the_page_names_is_there(passed: Job) -> None:
    table = PAGE.read_text(encoding="utf-8").split("| in `report/` |")[1]
    named = re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)
    assert len(named) > 8
    report = passed.folder / passed.kept
    assert [name for name in named if not any(report.glob(name))] == []
    empty = {path.name for name in named for path in report.glob(name) if not path.stat().st_size}
    assert empty <= {"qemu.log"}
    assert not (passed.folder / passed.cached / "runs").exists()
    assert json.loads((report / "try.json").read_text("utf-8"))["exit_code"] == 0


def test_a_driver_that_does_wrong_fails_the_job_and_its_logs_are_kept(passed: Job) -> None:
    source = passed.folder / "mydrv" / "mydrv.c"
    source.write_text(source.read_text("utf-8").replace("pci_set_master(pdev);", ""), "utf-8")
    report = passed.folder / passed.kept
    shutil.rmtree(report / "runs")
    assert passed.run(passed.again) == 1
    verdict = json.loads((report / "try.json").read_text("utf-8"))
    assert [finding["rule"] for finding in verdict["findings"]] == ["bus-master-never"]
    (logs,) = (report / "runs").iterdir()
    assert logs.name == Path(verdict["logs"]).name
    assert "no interrupt" in (logs / "serial.log").read_text("utf-8", errors="replace")
