"""Where the key that seals secrets comes from."""

import os
import stat

import pytest

from apps.core.envelope import MasterKey, master_keys
from apps.core.errors import UnavailableError

KEY, OTHER = "11" * 32, "22" * 32


def test_from_the_environment_the_first_seals_and_all_open(settings):
    settings.ACP_ENCRYPTION_KEY = f"{KEY}, {OTHER}"
    assert master_keys() == (MasterKey(bytes.fromhex(KEY)), MasterKey(bytes.fromhex(OTHER)))


def test_from_a_file(settings, tmp_path):
    (tmp_path / "key").write_text(f"{KEY}\n")
    settings.ACP_ENCRYPTION_KEY, settings.ACP_ENCRYPTION_KEY_FILE = "", str(tmp_path / "key")
    assert master_keys() == (MasterKey(bytes.fromhex(KEY)),)


def test_in_development_one_is_made_once_for_its_owner_alone(settings, tmp_path):
    settings.ACP_ENCRYPTION_KEY = settings.ACP_ENCRYPTION_KEY_FILE = ""
    settings.ACP_ENVIRONMENT, settings.ACP_DATA_DIR = "development", tmp_path / "new"
    made = master_keys()
    assert master_keys() == made
    (path,) = settings.ACP_DATA_DIR.iterdir()
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


def test_what_cannot_be_read_is_said_without_repeating_it(settings, tmp_path):
    settings.ACP_ENCRYPTION_KEY, settings.ACP_ENCRYPTION_KEY_FILE = "not-a-key", ""
    with pytest.raises(UnavailableError) as refused:
        master_keys()
    assert "not-a-key" not in str(refused.value)
    settings.ACP_ENCRYPTION_KEY, settings.ACP_ENCRYPTION_KEY_FILE = "", str(tmp_path / "none")
    with pytest.raises(UnavailableError):
        master_keys()


def test_in_production_none_is_made(settings, tmp_path):
    settings.ACP_ENCRYPTION_KEY = settings.ACP_ENCRYPTION_KEY_FILE = ""
    settings.ACP_ENVIRONMENT, settings.ACP_DATA_DIR = "production", tmp_path
    with pytest.raises(UnavailableError):
        master_keys()
    assert not list(tmp_path.iterdir())
