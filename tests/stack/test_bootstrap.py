"""The bootstrap installs when the lock file changed, once, and begins afresh after an interruption."""

import importlib.util
import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bootstrap", ROOT / "bin/_bootstrap.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


bootstrap = load()


@pytest.fixture(scope="module")
def bare_venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bare") / ".venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    return folder


@pytest.fixture
def clone(tmp_path: Path, bare_venv: Path) -> Path:
    """A folder with an environment, and lock files that list nothing and so need no network."""
    for name in ("requirements.lock", "requirements-dev.lock"):
        (tmp_path / name).write_text("# nothing\n")
    shutil.copytree(bare_venv, tmp_path / ".venv", symlinks=True)
    return tmp_path


@pytest.fixture
def environment(clone: Path) -> object:
    return bootstrap.Environment(clone / ".venv", clone)


def installs(environment: object, lock_name: str, capsys: pytest.CaptureFixture[str]) -> bool:
    environment.make_ready(lock_name)  # type: ignore[attr-defined]
    return "Installing" in capsys.readouterr().err


def test_it_installs_once_and_again_only_when_the_lock_changes(
    clone: Path, environment: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert installs(environment, "requirements.lock", capsys)
    assert not installs(environment, "requirements.lock", capsys)
    assert installs(environment, "requirements-dev.lock", capsys)
    assert not installs(environment, "requirements.lock", capsys)
    (clone / "requirements.lock").write_text("# something else\n")
    assert installs(environment, "requirements.lock", capsys)
    assert installs(environment, "requirements-dev.lock", capsys)


def test_an_interrupted_installation_is_begun_afresh(
    clone: Path, environment: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert installs(environment, "requirements.lock", capsys)
    (clone / ".venv/installed.json").unlink()
    (clone / ".venv/install-began").touch()
    half = clone / ".venv/half-a-package"
    half.touch()
    assert installs(environment, "requirements.lock", capsys)
    assert not half.exists()
    assert not (clone / ".venv/install-began").exists()


def test_a_failed_installation_is_said_and_not_stamped(clone: Path, environment: object) -> None:
    (clone / "requirements.lock").write_text("no-such-file @ file:///nowhere --hash=sha256:00\n")
    with pytest.raises(bootstrap.BootstrapError, match=r"Installing requirements\.lock failed"):
        environment.make_ready("requirements.lock")  # type: ignore[attr-defined]
    assert not (clone / ".venv/installed.json").exists()


def test_an_environment_whose_python_is_gone_is_made_anew(
    clone: Path, environment: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert installs(environment, "requirements.lock", capsys)
    (clone / ".venv/bin/python").unlink()
    (clone / ".venv/bin/python").symlink_to("/nowhere/python")
    assert installs(environment, "requirements.lock", capsys)


def test_of_two_at_once_one_installs(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def make_ready() -> None:
        bootstrap.Environment(clone / ".venv", clone).make_ready("requirements.lock")

    threads = [threading.Thread(target=make_ready) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert capsys.readouterr().err.count("Installing") == 1
    assert list(json.loads((clone / ".venv/installed.json").read_text())) == ["requirements.lock"]


def test_without_pip_or_uv_the_missing_package_is_named(
    clone: Path, environment: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(clone / ".venv")
    monkeypatch.setattr(bootstrap, "has_module", lambda *_: False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(bootstrap.BootstrapError, match=r"install python3\.\d+-venv"):
        environment.make_ready("requirements.lock")  # type: ignore[attr-defined]


def test_the_scripts_find_a_python_and_work_from_any_directory(tmp_path: Path) -> None:
    link = tmp_path / "elsewhere"
    link.mkdir()
    call = [ROOT / "bin/_python", "-c", "import sys, os; print(sys.version_info >= (3, 12), os.getcwd())"]
    done = subprocess.run(call, cwd=link, capture_output=True, text=True, check=True)
    assert done.stdout == f"True {link}\n"


def test_without_any_python_the_scripts_say_what_is_missing(tmp_path: Path) -> None:
    call = ["/bin/sh", ROOT / "bin/_python", "-V"]
    done = subprocess.run(call, env={"PATH": "", "HOME": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Python 3.12 or newer is needed" in done.stderr
    assert sys.version_info >= (3, 12)


def test_what_the_demo_can_do_is_said_without_installing_anything(tmp_path: Path) -> None:
    for name in ("bin", "controlplane"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    call = [sys.executable, tmp_path / "bin/_bootstrap.py", "demo", "--port", "9000", "--help"]
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    assert "--reset" in done.stdout
    assert done.stderr == ""
    assert not (tmp_path / ".venv").exists()
