"""A secret does not show itself, and a reference that leads nowhere says what to set."""

import json
import logging
import traceback
from pathlib import Path

import orjson
import pytest

from proxy.credentials import MissingReferenceError, Secret, resolve_reference

CANARY = "sk-canary-0123456789"


def test_a_secret_shows_itself_to_nobody() -> None:
    secret = Secret(CANARY)
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r:>50}", "%s" % secret, ascii(secret), repr([secret])]  # noqa: UP031
    assert all("canary" not in text for text in shown)
    assert secret.reveal() == CANARY
    assert not hasattr(secret, "__dict__")


@pytest.mark.parametrize("dump", [json.dumps, orjson.dumps])
def test_a_secret_is_no_json(dump: object) -> None:
    with pytest.raises(TypeError) as caught:
        dump({"key": Secret(CANARY)})  # type: ignore[operator]
    assert "canary" not in str(caught.value)


def test_a_secret_is_not_in_a_log_or_traceback(caplog: pytest.LogCaptureFixture) -> None:
    secret = Secret(CANARY)
    logging.getLogger("test").warning("key %s %r", secret, {"key": secret})
    try:
        raise ValueError(secret)
    except ValueError as error:
        told = "".join(traceback.format_exception(error))
    assert "canary" not in caplog.text + told


def test_a_secret_is_not_its_value() -> None:
    assert Secret(CANARY) != CANARY


def test_a_variable_is_read_and_trimmed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAGOMAN_TEST_KEY", f"  {CANARY}\r\n")
    assert resolve_reference("env:DRAGOMAN_TEST_KEY") == CANARY


@pytest.mark.parametrize("value", [None, "", " \n"], ids=["unset", "empty", "blank"])
def test_a_variable_that_says_nothing_is_missing(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    monkeypatch.delenv("DRAGOMAN_TEST_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("DRAGOMAN_TEST_KEY", value)
    with pytest.raises(MissingReferenceError) as caught:
        resolve_reference("env:DRAGOMAN_TEST_KEY")
    assert str(caught.value) == "the environment variable DRAGOMAN_TEST_KEY is not set"


def test_a_file_is_read_and_trimmed(tmp_path: Path) -> None:
    path = tmp_path / "key:with:colons"
    path.write_text(CANARY + "\n", encoding="utf-8")
    assert resolve_reference(f"file:{path}") == CANARY


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(MissingReferenceError) as caught:
        resolve_reference(f"file:{tmp_path}/none")
    assert str(caught.value) == f"the file {tmp_path}/none cannot be read (No such file or directory)"


def test_an_empty_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("\n", encoding="utf-8")
    with pytest.raises(MissingReferenceError, match=r"key is empty$"):
        resolve_reference(f"file:{tmp_path}/key")


def test_a_file_that_is_not_text_is_told_without_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"sk-canary\xff\xfe")
    with pytest.raises(MissingReferenceError) as caught:
        resolve_reference(f"file:{tmp_path}/key")
    assert "canary" not in "".join(traceback.format_exception(caught.value))


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(MissingReferenceError, match="cannot be read"):
        resolve_reference(f"file:{tmp_path}")


@pytest.mark.parametrize("inside", ["\n", "\r", "\x00", "\r\nx-evil: 1"], ids=repr)
def test_a_key_that_would_break_a_header_is_refused_at_the_start(tmp_path: Path, inside: str) -> None:
    """reliability.md T4: otherwise every request would fail, with the key inside some library's error."""
    (tmp_path / "key").write_text(f"sk-canary{inside}rest", encoding="utf-8")
    with pytest.raises(MissingReferenceError) as caught:
        resolve_reference(f"file:{tmp_path}/key")
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("value", ["https://api.example.com/v1", "plain", "ENV:X", "", "environment"])
def test_anything_else_is_a_value(value: str) -> None:
    assert resolve_reference(value) == value
